"""Real deliveries where they are to be had, and a raw event to vary."""

import os
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def real_deliveries() -> Path:
    folder = Path(os.environ.get("TRAPLINE_CLOUDTRAIL", PROJECT.parent / "shared" / "data" / "cloudtrail"))
    if not folder.is_dir():
        pytest.skip(f"no real CloudTrail deliveries at {folder}; set TRAPLINE_CLOUDTRAIL to a folder of them")
    return folder


@pytest.fixture
def raw_event() -> dict[str, Any]:
    return {
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLEALICE00001",
            "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": "111122223333",
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": "alice",
        },
        "eventTime": "2026-11-21T10:00:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2.15.0",
        "requestParameters": {"userName": "bob"},
        "responseElements": None,
        "requestID": "5ab1e0f2-7f0a-4a55-8a57-1f7a3f1d9d10",
        "eventID": "11111111-2222-4333-8444-555555555555",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }
