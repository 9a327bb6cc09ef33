"""Raw CloudTrail events as ECS records: who, what, from where, and nothing lost on the way."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline.tables.cloudtrail import SCHEMA, event_time, normalise
from trapline.tables.deliveries import find_deliveries, read_delivery
from trapline.tables.raw import RAW, Spec, column_name

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


def fitting(spec: Spec) -> st.SearchStrategy[Any]:
    """Values as CloudTrail documents them, except where it does not keep to its own documentation."""
    if isinstance(spec, list):
        usual: st.SearchStrategy[Any] = st.lists(fitting(spec[0]), max_size=3)
    elif isinstance(spec, Mapping):
        usual = st.fixed_dictionaries({}, optional={key: fitting(inner) for key, inner in spec.items()})
    else:
        usual = {
            "text": st.text(st.characters(), max_size=20),
            "flag": st.booleans(),
            "json": st.dictionaries(st.text(), JSON, max_size=3),
        }[spec]
    return usual | JSON


MESSY = st.fixed_dictionaries({}, optional={key: fitting(spec) for key, spec in RAW.items()} | {"newKey": JSON})


def through_arrow(record: dict[str, Any]) -> dict[str, Any]:
    """The record as the table gives it back: absent columns are null."""
    return pa.Table.from_pylist([record], schema=SCHEMA).to_pylist()[0]


def rebuild(cloudtrail: Mapping[str, Any]) -> Any:
    """The raw event put together again from the columns below `aws.cloudtrail`, without `event.original`."""
    raw = {key: _rebuild(cloudtrail[column_name(key)], spec) for key, spec in RAW.items()}
    return _laid_over(raw, json.loads(cloudtrail["unmapped"] or "{}"))


def _rebuild(value: Any, spec: Spec) -> Any:
    if value is None:
        return None
    if isinstance(spec, list):
        return [_rebuild(item, spec[0]) for item in value]
    if isinstance(spec, Mapping):
        return {key: _rebuild(value[column_name(key)], inner) for key, inner in spec.items()}
    return json.loads(value) if spec == "json" else value


def _laid_over(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {key: _laid_over(under.get(key), value) for key, value in over.items()}


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def test_every_real_event_can_be_rebuilt_from_its_columns(real_deliveries):
    events = [event for path in find_deliveries(real_deliveries) for event in read_delivery(path).events]
    assert len(events) == 1448
    records = pa.Table.from_pylist([normalise(event) for event in events], schema=SCHEMA).to_pylist()
    for event, record in zip(events, records, strict=True):
        assert without_nulls(rebuild(record["aws"]["cloudtrail"])) == without_nulls(event)
        assert json.loads(record["event"]["original"]) == event
        assert record["aws"]["cloudtrail"]["unmapped"] is None, "the schema knows every key of the real events"
        assert (record["event"]["outcome"] == "failure") == ("errorCode" in event)
    assert len({record["event"]["id"] for record in records}) == 1448


@settings(max_examples=60, deadline=None)
@given(MESSY)
def test_messy_events_raise_nothing_and_lose_nothing(event):
    record = through_arrow(normalise(event | {"eventTime": "2026-11-21T10:00:00Z"}))
    rebuilt = rebuild(record["aws"]["cloudtrail"])
    assert without_nulls(rebuilt) == without_nulls(event | {"eventTime": "2026-11-21T10:00:00Z"})
    assert json.loads(record["event"]["original"])["eventTime"] == "2026-11-21T10:00:00Z"
    assert record["event"]["category"]
    assert record["event"]["type"]
    json.loads(record["aws"]["cloudtrail"]["request_parameters"] or "{}").get("any")


@given(JSON)
def test_event_time_is_utc_or_nothing(value):
    at = event_time({"eventTime": value})
    assert at is None or at.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-21T10:00:00Z", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2026-11-21T10:00:00.123Z", datetime(2026, 11, 21, 10, 0, 0, 123000, tzinfo=UTC)),
        ("2026-11-21T11:00:00+01:00", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2026-11-21 10:00:00", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00+01:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_event_times(text, at):
    assert event_time({"eventTime": text}) == at


def test_an_event_as_a_record(raw_event):
    record = normalise(raw_event)
    assert record["ts"] == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert record["event"]["action"] == "CreateUser"
    assert record["event"]["provider"] == "iam.amazonaws.com"
    assert record["event"]["outcome"] == "success"
    assert record["event"]["category"] == ["iam"]
    assert record["event"]["type"] == ["creation", "user"]
    assert record["user"] == {"name": "alice", "id": "AIDAEXAMPLEALICE00001", "roles": []}
    assert record["source"] == {"address": "203.0.113.7", "ip": "203.0.113.7"}
    assert record["cloud"] == {"provider": "aws", "region": "us-east-1", "account": {"id": "111122223333"}}
    assert record["user_agent"] == {"original": "aws-cli/2.15.0"}
    assert record["related"] == {"user": ["alice", "bob"], "ip": ["203.0.113.7"], "hosts": []}
    assert record["aws"]["cloudtrail"]["request_parameters"] == '{"userName":"bob"}'
    assert "error" not in record


def test_tls_in_ecs_words(raw_event):
    details = {
        "tlsVersion": "TLSv1.3",
        "cipherSuite": "TLS_AES_128_GCM_SHA256",
        "clientProvidedHostHeader": "sts.example",
    }
    record = normalise(raw_event | {"tlsDetails": details})
    assert record["tls"] == {
        "version": "1.3",
        "version_protocol": "tls",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "client": {"server_name": "sts.example"},
    }
    assert record["related"]["hosts"] == ["sts.example"]


def role_identity(role: str, session: str) -> dict[str, Any]:
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLEROLE000001:{session}",
        "arn": f"arn:aws:sts::111122223333:assumed-role/{role}/{session}",
        "sessionContext": {"sessionIssuer": {"type": "Role", "userName": role}},
    }


@pytest.mark.parametrize(
    ("identity", "name", "roles"),
    [
        ({"type": "Root", "principalId": "111122223333"}, "root", []),
        ({"type": "Root", "userName": "our-alias"}, "our-alias", []),
        (role_identity("deploy", "ci-1234"), "deploy", ["deploy"]),
        (
            role_identity("AWSReservedSSO_Admin_0123456789abcdef", "carol@example.com"),
            "carol@example.com",
            ["AWSReservedSSO_Admin_0123456789abcdef"],
        ),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/deploy/ci"}, "deploy", ["deploy"]),
        ({"type": "AssumedRole"}, None, []),
        ({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/dave"}, "dave", []),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}}, "erin", []),
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, None, []),
        ({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AIDAEXAMPLE"}, None, []),
        ({"invokedBy": "secretsmanager.amazonaws.com"}, None, []),
        ("root", None, []),
        (None, None, []),
    ],
)
def test_who_did_it(raw_event, identity, name, roles):
    event = raw_event | {"userIdentity": identity, "additionalEventData": {"UserName": "erin"}}
    user = through_arrow(normalise(event))["user"]
    assert (user["name"], user["roles"]) == (name, roles)


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("ec2.amazonaws.com", None),
        ("AWS Internal", None),
    ],
)
def test_only_an_address_is_a_source_ip(raw_event, address, ip):
    source = through_arrow(normalise(raw_event | {"sourceIPAddress": address}))["source"]
    assert source == {"address": address, "ip": ip}


@pytest.mark.parametrize(
    ("changes", "outcome", "kind"),
    [
        ({"errorCode": "AccessDenied", "errorMessage": "no"}, "failure", "denied"),
        ({"errorCode": "ThrottlingException"}, "failure", "error"),
        (
            {
                "eventSource": "signin.amazonaws.com",
                "eventName": "ConsoleLogin",
                "errorMessage": "Failed authentication",
                "responseElements": {"ConsoleLogin": "Failure"},
            },
            "failure",
            "start",
        ),
        ({"errorCode": None, "errorMessage": None}, "success", "creation"),
    ],
)
def test_outcomes(raw_event, changes, outcome, kind):
    event = normalise(raw_event | changes)["event"]
    assert event["outcome"] == outcome
    assert kind in event["type"]


def test_what_fits_no_column_is_kept_beside_what_does(raw_event):
    raw_event["userIdentity"]["brandNew"] = {"deep": [1, None]}
    raw_event["requestParameters"] = "HIDDEN_DUE_TO_SECURITY_REASONS"
    raw_event["resources"] = [{"ARN": "arn:aws:s3:::logs", "size": 3}]
    cloudtrail = through_arrow(normalise(raw_event))["aws"]["cloudtrail"]
    assert cloudtrail["user_identity"]["user_name"] == "alice"
    assert cloudtrail["request_parameters"] is None
    assert cloudtrail["resources"][0]["arn"] == "arn:aws:s3:::logs"
    assert json.loads(cloudtrail["unmapped"]) == {
        "userIdentity": {"brandNew": {"deep": [1, None]}},
        "requestParameters": "HIDDEN_DUE_TO_SECURITY_REASONS",
        "resources": [{"ARN": "arn:aws:s3:::logs", "size": 3}],
    }


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("eventID", "event_id"),
        ("sourceIPAddress", "source_ip_address"),
        ("ARN", "arn"),
        ("ec2RoleDelivery", "ec2_role_delivery"),
    ],
)
def test_column_names(key, column):
    assert column_name(key) == column
