"""Raw CloudTrail events of a made-up company: who calls, and the shape that CloudTrail gives a call.

Addresses, account ids and access keys are those that are set aside for documentation.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

ACCOUNT = "111122223333"
HOME_REGION = "us-east-1"
_READING = ("Get", "List", "Describe", "Head", "Lookup")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who calls: an identity as CloudTrail writes it, an address and a user agent."""

    identity: Mapping[str, Any]
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Call:
    """What is called."""

    source: str
    name: str
    parameters: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    error: tuple[str, str] | None = None


def user(name: str, address: str, agent: str = "aws-cli/2.17.0 md/Botocore#2.0.0 lang/python#3.11.8") -> Actor:
    """A person with an IAM user."""
    identity = {
        "type": "IAMUser",
        "principalId": f"AIDAEXAMPLE{name.replace('-', '').upper():0<10}",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": f"AKIAEXAMPLE{name.replace('-', '').upper():0<9}",
        "userName": name,
    }
    return Actor(identity, address, agent)


def role(name: str, session: str, address: str, agent: str) -> Actor:
    """A session of a role."""
    role_id = f"AROAEXAMPLE{name.replace('-', '').replace('_', '').upper()[:10]:0<10}"
    identity = {
        "type": "AssumedRole",
        "principalId": f"{role_id}:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": f"ASIAEXAMPLE{name.replace('-', '').replace('_', '').upper()[:9]:0<9}",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": role_id,
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "accountId": ACCOUNT,
                "userName": name,
            },
            "attributes": {"mfaAuthenticated": "false"},
        },
    }
    return Actor(identity, address, agent)


def service(principal: str) -> Actor:
    """A service of AWS that acts by itself: no user, no address."""
    return Actor({"type": "AWSService", "invokedBy": principal}, principal, principal)


def api_call(rng: Random, at: datetime, actor: Actor, call: Call, *, region: str = HOME_REGION) -> dict[str, Any]:
    """The event of an API call."""
    event = {
        "eventVersion": "1.10",
        "userIdentity": actor.identity,
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": call.source,
        "eventName": call.name,
        "awsRegion": region,
        "sourceIPAddress": actor.address,
        "userAgent": actor.agent,
        "requestParameters": call.parameters,
        "responseElements": call.response,
        "requestID": _uuid(rng),
        "eventID": _uuid(rng),
        "readOnly": call.name.startswith(_READING),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    if call.error is not None:
        event["errorCode"], event["errorMessage"] = call.error
    return event


def console_login(rng: Random, at: datetime, actor: Actor, *, success: bool, mfa: bool) -> dict[str, Any]:
    """The event of a login to the console. A failed one has a message and no error code, as CloudTrail has it."""
    identity = {key: value for key, value in actor.identity.items() if key != "accessKeyId"}
    result = {"ConsoleLogin": "Success" if success else "Failure"}
    event = api_call(
        rng, at, Actor(identity, actor.address, actor.agent), Call("signin.amazonaws.com", "ConsoleLogin", None, result)
    )
    event |= {
        "eventType": "AwsConsoleSignIn",
        "additionalEventData": {
            "LoginTo": "https://console.aws.amazon.com/console/home",
            "MobileVersion": "No",
            "MFAUsed": "Yes" if mfa else "No",
        },
    }
    return event if success else event | {"errorMessage": "Failed authentication"}


def _uuid(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
