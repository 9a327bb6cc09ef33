"""Made-up CloudTrail events as nested records: 34 columns, with the nulls and repetitions that real ones have."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL = timedelta(milliseconds=250)

_TEXT = pa.string()
_TEXTS = pa.list_(_TEXT)


def _struct(**columns: pa.DataType) -> pa.DataType:
    return pa.struct(list(columns.items()))


SCHEMA = pa.schema(
    {
        "ts": pa.timestamp("us", tz="UTC"),
        "event": _struct(
            id=_TEXT, kind=_TEXT, action=_TEXT, provider=_TEXT, outcome=_TEXT, category=_TEXTS, type=_TEXTS
        ),
        "user": _struct(name=_TEXT, id=_TEXT),
        "source": _struct(address=_TEXT, ip=_TEXT),
        "cloud": _struct(provider=_TEXT, region=_TEXT, account=_struct(id=_TEXT)),
        "user_agent": _struct(original=_TEXT),
        "error": _struct(code=_TEXT, message=_TEXT),
        "tls": _struct(version=_TEXT, cipher=_TEXT),
        "related": _struct(user=_TEXTS, ip=_TEXTS),
        "aws": _struct(
            cloudtrail=_struct(
                event_version=_TEXT,
                request_id=_TEXT,
                request_parameters=_TEXT,
                response_elements=_TEXT,
                read_only=pa.bool_(),
                management_event=pa.bool_(),
                recipient_account_id=_TEXT,
                user_identity=_struct(type=_TEXT, arn=_TEXT, account_id=_TEXT, principal_id=_TEXT, access_key_id=_TEXT),
            )
        ),
    }
)

_ACTIONS = [
    ("sts.amazonaws.com", "AssumeRole", True),
    ("ec2.amazonaws.com", "DescribeInstances", True),
    ("s3.amazonaws.com", "GetObject", True),
    ("kms.amazonaws.com", "Decrypt", True),
    ("iam.amazonaws.com", "CreateAccessKey", False),
    ("signin.amazonaws.com", "ConsoleLogin", False),
]
_IDENTITIES = ("AssumedRole", "IAMUser", "AWSService", "Root")
_AGENTS = (
    "aws-sdk-go-v2/1.30.3 os/linux",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0",
    "Terraform/1.9.5",
)
_ACCOUNT = "111122223333"


def event(rng: Random, number: int) -> dict[str, Any]:
    """One record; the higher its number, the later it happened."""
    provider, action, read_only = rng.choices(_ACTIONS, weights=(30, 30, 20, 15, 3, 2))[0]
    (identity,) = rng.choices(_IDENTITIES, weights=(700, 250, 49, 1))
    name, ip = f"user-{rng.randrange(500)}", f"192.0.2.{rng.randrange(256)}"
    failed = rng.random() < 0.04
    return {
        "ts": START + number * INTERVAL,
        "event": {
            "id": f"{rng.getrandbits(128):032x}",
            "kind": "event",
            "action": action,
            "provider": provider,
            "outcome": "failure" if failed else "success",
            "category": ["iam", "authentication"] if provider.startswith(("sts", "iam", "signin")) else ["cloud"],
            "type": ["info"] if read_only else ["change", "creation"],
        },
        "user": {"name": name, "id": f"AIDA{rng.getrandbits(64):016X}"},
        "source": {"address": ip, "ip": ip},
        "cloud": {"provider": "aws", "region": rng.choice(("us-east-1", "eu-central-1")), "account": {"id": _ACCOUNT}},
        "user_agent": {"original": rng.choice(_AGENTS)},
        "error": {"code": "AccessDenied", "message": f"{name} is not authorized to do {action}"} if failed else None,
        "tls": {"version": "1.3", "cipher": "TLS_AES_128_GCM_SHA256"},
        "related": {"user": [name], "ip": [ip]},
        "aws": {
            "cloudtrail": {
                "event_version": "1.09",
                "request_id": f"{rng.getrandbits(128):032x}",
                "request_parameters": json.dumps({"name": name, "count": number % 100, "filter": {"state": "running"}}),
                "response_elements": None if read_only else json.dumps({"requestId": number, "created": name}),
                "read_only": read_only,
                "management_event": True,
                "recipient_account_id": _ACCOUNT,
                "user_identity": {
                    "type": identity,
                    "arn": f"arn:aws:iam::{_ACCOUNT}:user/{name}",
                    "account_id": _ACCOUNT,
                    "principal_id": f"AIDA{name.upper()}",
                    "access_key_id": f"ASIA{rng.getrandbits(64):016X}",
                },
            }
        },
    }
