"""The attacks planted into the demonstration: one story of a stolen password, told by detections of the pack."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from trapline.demo.events import ACCOUNT, Actor, Call, api_call, console_login, role, user

_BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"
_GUESSER, _THIEF = "198.51.100.23", "203.0.113.66"
_DENIED = ("AccessDenied", "User is not authorized to perform this operation")
_REFUSED = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")
_SECRETS = 30
"""Three times what the detection counts to, so that a scan that ends in the middle still sees enough."""

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Planted:
    """One attack: the detections that find it, what happens in one sentence, and when it begins."""

    detections: tuple[str, ...]
    what: str
    at: datetime


def plant(rng: Random, start: datetime, end: datetime) -> tuple[list[Planted], list[Event]]:
    """Every attack, spread over the time from start to end in the order of the story, and the events that show it."""
    planted: list[Planted] = []
    events: list[Event] = []
    for number, (detections, what, attack) in enumerate(_STORY, start=1):
        at = (start + (end - start) * number / (len(_STORY) + 1)).replace(microsecond=0)
        planted.append(Planted(detections, what, at))
        events += attack(rng, at)
    return planted, events


def happen(detection: str, rng: Random, at: datetime) -> tuple[Planted, list[Event]]:
    """The attack of the story that a detection finds, at another time, and the events that show it."""
    detections, what, attack = next(part for part in _STORY if detection in part[0])
    return Planted(detections, what, at), attack(rng, at)


def of_the_story() -> frozenset[str]:
    """The detections that find something of the story."""
    return frozenset(name for detections, _, _ in _STORY for name in detections)


def _guessing(rng: Random, at: datetime) -> list[Event]:
    """A failure every 70 seconds or so: over ten minutes, longer than any tick, and one login that works."""
    names = ("alice", "bob", "erin", "mallory", "bob", "bob", "alice", "bob", "bob")
    times = [at + timedelta(seconds=70 * number + rng.randrange(20)) for number in range(len(names) + 1)]
    guesses = [
        console_login(rng, time, user(name, _GUESSER, _BROWSER), success=False, mfa=False)
        for time, name in zip(times, names, strict=False)
    ]
    return [*guesses, console_login(rng, times[-1], user("bob", _GUESSER, _BROWSER), success=True, mfa=False)]


def _new_key(rng: Random, at: datetime) -> list[Event]:
    key = {"accessKey": {"accessKeyId": "AKIAI44QH8DHBEXAMPLE", "userName": "admin-carol", "status": "Active"}}
    call = Call("iam.amazonaws.com", "CreateAccessKey", {"userName": "admin-carol"}, key)
    return [api_call(rng, at, user("bob", _GUESSER, _BROWSER), call)]


def _open_role(rng: Random, at: datetime) -> list[Event]:
    trust = [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}]
    parameters = {"roleName": "backup", "policyDocument": json.dumps({"Version": "2012-10-17", "Statement": trust})}
    return [api_call(rng, at, _admin(), Call("iam.amazonaws.com", "UpdateAssumeRolePolicy", parameters))]


def _windows_passwords(rng: Random, at: datetime) -> list[Event]:
    actor = role("reporting", "aws-go-sdk-1", _THIEF, "aws-sdk-go-v2/1.30.3 os/linux")
    calls = [
        Call("ec2.amazonaws.com", "GetPasswordData", {"instanceId": f"i-{rng.getrandbits(68):017x}"}, error=_REFUSED)
        for _ in range(9)
    ]
    return [api_call(rng, at + timedelta(seconds=8 * number), actor, call) for number, call in enumerate(calls)]


def _secrets(rng: Random, at: datetime) -> list[Event]:
    calls = [
        Call("secretsmanager.amazonaws.com", "GetSecretValue", {"secretId": f"prod/secret-{number:02}"})
        for number in range(_SECRETS)
    ]
    return [api_call(rng, at + timedelta(seconds=number), _admin(), call) for number, call in enumerate(calls)]


def _export(rng: Random, at: datetime) -> list[Event]:
    parameters = {"instanceId": "i-0123456789abcdef0", "exportToS3": {"s3Bucket": "example-drop"}}
    call = Call("ec2.amazonaws.com", "CreateInstanceExportTask", parameters, error=_REFUSED)
    return [api_call(rng, at, user("bob", _GUESSER), call, region="eu-central-1")]


def _open_bucket(rng: Random, at: datetime) -> list[Event]:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": "arn:aws:s3:::example-invoices/*",
    }
    parameters = {"bucketName": "example-invoices", "bucketPolicy": {"Statement": [statement]}}
    return [api_call(rng, at, _admin(), Call("s3.amazonaws.com", "PutBucketPolicy", parameters))]


def _blind(rng: Random, at: datetime) -> list[Event]:
    stop = Call("cloudtrail.amazonaws.com", "StopLogging", {"name": "org-trail"})
    delete = Call("cloudtrail.amazonaws.com", "DeleteTrail", {"name": "org-trail"}, error=_DENIED)
    return [api_call(rng, at, _admin(), stop), api_call(rng, at + timedelta(seconds=40), _admin(), delete)]


def _leave(rng: Random, at: datetime) -> list[Event]:
    return [api_call(rng, at, _admin(), Call("organizations.amazonaws.com", "LeaveOrganization", error=_DENIED))]


def _root(rng: Random, at: datetime) -> list[Event]:
    identity = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
    return [console_login(rng, at, Actor(identity, _THIEF, _BROWSER), success=True, mfa=False)]


def _admin() -> Actor:
    """The stolen administrator: the key that was made for her, in other hands."""
    actor = user("admin-carol", _THIEF)
    return Actor({**actor.identity, "accessKeyId": "AKIAI44QH8DHBEXAMPLE"}, actor.address, actor.agent)


_STORY: tuple[tuple[tuple[str, ...], str, Callable[[Random, datetime], list[Event]]], ...] = (
    (
        ("login_brute_force_by_ip", "console_login_without_mfa"),
        f"Somebody at {_GUESSER} guesses console passwords for ten minutes, until bob's fits.",
        _guessing,
    ),
    (("access_key_for_another_user",), "As bob, they make an access key for the administrator admin-carol.", _new_key),
    (
        ("role_trusts_foreign_account",),
        "With that key they let account 444455556666 assume the role backup.",
        _open_role,
    ),
    (
        ("ec2_password_data_burst",),
        "As the role reporting, they ask nine instances for their Windows passwords and are refused.",
        _windows_passwords,
    ),
    (("secrets_read_burst",), f"As admin-carol, they read {_SECRETS} secrets in half a minute.", _secrets),
    (("failed_ec2_instance_export",), "As bob, they try to export an EC2 instance and are refused.", _export),
    (("public_s3_bucket_policy",), "They open the bucket example-invoices to the internet.", _open_bucket),
    (("audit_log_tampering",), "They stop the trail org-trail, and fail to delete it.", _blind),
    (("leave_organization_attempt",), "They try to take the account out of its organisation.", _leave),
    (("root_login_without_mfa",), f"The root user logs in from {_THIEF} without MFA.", _root),
)
