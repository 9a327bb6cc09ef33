"""An ordinary day in the account: people, a deployment role, applications and services, none of them up to anything.

Some of it comes close to what the detections look for, and must not set one off: a forgotten password, a new key of
one's own, a bucket policy that only looks public, an application that reads its own secret all day.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

from trapline.demo.events import ACCOUNT, Actor, Call, api_call, console_login, role, service, user

_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
_TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 terraform-provider-aws/5.60.0"
_REGIONS = ("us-east-1", "us-east-1", "eu-central-1", "eu-west-1", "ap-southeast-2")
_DENIED = ("AccessDenied", "User is not authorized to perform this operation")
_THROTTLED = ("ThrottlingException", "Rate exceeded")

PEOPLE = (
    user("alice", "192.0.2.10", _BROWSER),
    user("bob", "192.0.2.11"),
    user("erin", "192.0.2.14", _BROWSER),
    role("AWSReservedSSO_Engineer_0123456789abcdef", "dave@example.com", "192.0.2.13", _BROWSER),
)
_SERVICES = ("ec2.amazonaws.com", "lambda.amazonaws.com", "config.amazonaws.com", "autoscaling.amazonaws.com")

_READS = (
    ("ec2.amazonaws.com", "DescribeInstances"),
    ("ec2.amazonaws.com", "DescribeSecurityGroups"),
    ("ec2.amazonaws.com", "DescribeVpcs"),
    ("s3.amazonaws.com", "ListBuckets"),
    ("s3.amazonaws.com", "GetBucketPolicy"),
    ("iam.amazonaws.com", "ListUsers"),
    ("iam.amazonaws.com", "GetAccountSummary"),
    ("cloudtrail.amazonaws.com", "DescribeTrails"),
    ("cloudtrail.amazonaws.com", "GetTrailStatus"),
    ("organizations.amazonaws.com", "DescribeOrganization"),
    ("rds.amazonaws.com", "DescribeDBInstances"),
    ("sts.amazonaws.com", "GetCallerIdentity"),
)
_SERVICE_TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}
)
_ORGANISATION_ONLY = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::example-artifacts/*",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorg"}},
        }
    ]
}
_CHANGES = (
    Call("iam.amazonaws.com", "CreateRole", {"roleName": "report-lambda", "assumeRolePolicyDocument": _SERVICE_TRUST}),
    Call("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", {"functionName": "report", "publish": True}),
    Call(
        "s3.amazonaws.com", "PutBucketPolicy", {"bucketName": "example-artifacts", "bucketPolicy": _ORGANISATION_ONLY}
    ),
    Call("ecs.amazonaws.com", "UpdateService", {"service": "web", "forceNewDeployment": True}),
    Call("cloudformation.amazonaws.com", "CreateChangeSet", {"stackName": "web"}),
)

Event = dict[str, Any]


def ordinary_event(rng: Random, at: datetime) -> Event:
    """One event of the day."""
    makers: tuple[Callable[[Random, datetime], Event], ...] = (_person, _application, _service, _deployment, _login)
    return rng.choices(makers, weights=(38, 34, 20, 7, 1))[0](rng, at)


def _person(rng: Random, at: datetime) -> Event:
    actor = rng.choice(PEOPLE)
    name = actor.identity.get("userName")
    if name and rng.random() < 0.003:
        return api_call(rng, at, actor, Call("iam.amazonaws.com", "CreateAccessKey", {"userName": name}))
    source, action = rng.choice(_READS)
    return api_call(rng, at, actor, Call(source, action, error=_trouble(rng)), region=rng.choice(_REGIONS))


def _application(rng: Random, at: datetime) -> Event:
    app = rng.choice(("web", "billing", "search"))
    actor = role(f"app-{app}", f"i-{rng.choice('abcdef') * 17}", "198.51.100.80", "aws-sdk-go-v2/1.30.3 os/linux")
    call = rng.choice(
        (
            Call("secretsmanager.amazonaws.com", "GetSecretValue", {"secretId": f"prod/{app}/database"}),
            Call("kms.amazonaws.com", "Decrypt", {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
            Call("ssm.amazonaws.com", "GetParameter", {"name": f"/{app}/flags", "withDecryption": True}),
            Call("sts.amazonaws.com", "GetCallerIdentity"),
        )
    )
    return api_call(rng, at, actor, call, region="eu-central-1")


def _service(rng: Random, at: datetime) -> Event:
    principal = rng.choice(_SERVICES)
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/service-role/{principal.split('.')[0]}"
    parameters = {"roleArn": role_arn, "roleSessionName": f"{rng.getrandbits(48):012x}"}
    call = Call("sts.amazonaws.com", "AssumeRole", parameters)
    return api_call(rng, at, service(principal), call, region=rng.choice(_REGIONS))


def _deployment(rng: Random, at: datetime) -> Event:
    actor = role("deploy", f"ci-{rng.randrange(400, 420)}", "198.51.100.40", _TERRAFORM)
    return api_call(rng, at, actor, rng.choice(_CHANGES))


def _login(rng: Random, at: datetime) -> Event:
    actor: Actor = rng.choice(PEOPLE[:3])
    # Whoever forgets a password does so at home: no address comes near the threshold of a brute force.
    if rng.random() < 0.15:
        away = Actor(actor.identity, f"203.0.113.{rng.randrange(100, 250)}", _BROWSER)
        return console_login(rng, at, away, success=False, mfa=False)
    return console_login(rng, at, actor, success=True, mfa=True)


def _trouble(rng: Random) -> tuple[str, str] | None:
    return rng.choices((None, _THROTTLED, _DENIED), weights=(95, 3, 2))[0]
