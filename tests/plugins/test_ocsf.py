"""The OCSF payload: a Detection Finding that another program understands."""

import json
from typing import Any

import pytest

from trapline_plugins.api import Kind
from trapline_plugins.payload import alert_json
from trapline_plugins.samples import NOTIFICATIONS, a_notification

LIMIT = 256 * 1024

# What OCSF 1.3.0 requires of a Detection Finding, and of the objects in it.
REQUIRED = {
    "": ["activity_id", "category_uid", "class_uid", "finding_info", "metadata", "severity_id", "time", "type_uid"],
    "metadata": ["version", "product"],
    "finding_info": ["title", "uid"],
}


def finding(**changes: Any) -> Any:
    return json.loads(alert_json(a_notification(**changes), LIMIT, "ocsf"))


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_whatever_is_said_has_what_ocsf_requires_and_fits(case: str) -> None:
    document = alert_json(NOTIFICATIONS[case], LIMIT, "ocsf")
    assert len(document.encode()) <= LIMIT
    said = json.loads(document)
    for name, required in REQUIRED.items():
        assert all((said[name] if name else said).get(field) not in (None, "") for field in required)
    assert said["metadata"]["product"]["vendor_name"] == "Trapline"


@pytest.mark.parametrize(
    ("kind", "activity", "status"),
    [(Kind.OPENED, 1, "New"), (Kind.UPDATED, 2, "New"), (Kind.RESOLVED, 3, "Resolved")],
)
def test_the_life_of_an_alert(kind: Kind, activity: int, status: str) -> None:
    said = finding(kind=kind)
    assert (said["activity_id"], said["type_uid"], said["status"]) == (activity, 200400 + activity, status)
    assert (said["metadata"]["uid"], said["metadata"]["correlation_uid"]) == ("5e1f0c8e", "a1b2c3")


def test_who_resolved_it_and_why() -> None:
    assert finding(kind=Kind.RESOLVED, resolution="ann: a test")["status_detail"] == "ann: a test"
    assert "status_detail" not in finding()


@pytest.mark.parametrize(
    ("severity", "number"), [("info", 1), ("notice", 1), ("low", 2), ("medium", 3), ("high", 4), ("critical", 5)]
)
def test_severity(severity: str, number: int) -> None:
    assert finding(severity=severity)["severity_id"] == number


def test_times_are_milliseconds() -> None:
    said = finding()
    assert (said["time"], said["start_time"], said["end_time"]) == (1893553445000, 1893552845000, 1893553385000)


def test_what_was_found_and_by_what() -> None:
    info = finding()["finding_info"]
    assert (info["uid"], info["title"], info["types"]) == ("a1b2c3", "Brute force from 203.0.113.9", ["brute_force"])
    assert (info["analytic"]["type_id"], info["analytic"]["uid"]) == (1, "login_brute_force_by_ip")
    assert "attacks" not in info


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("ta0006:t1110", {"tactic": {"uid": "TA0006"}, "technique": {"uid": "T1110"}}),
        ("T1110.001", {"technique": {"uid": "T1110"}, "sub_technique": {"uid": "T1110.001"}}),
        ("TA0001", {"tactic": {"uid": "TA0001"}}),
        ("TA0001T1110", None),
        ("T1110; drop", None),
        ("", None),
    ],
)
def test_attack(attack: str, said: dict[str, Any] | None) -> None:
    assert finding(attack=(attack,))["finding_info"].get("attacks", [None]) == [said]


def test_an_analyst_can_pivot_on_what_the_records_name() -> None:
    record = {
        "source": {"ip": "203.0.113.9", "address": "host.example"},
        "related": {"ip": ["2001:db8::1", "203.0.113.9", "not an address"]},
        "user": {"name": "root", "email": "root@example.com", "target": {"name": "ann"}},
        "host": {"name": "web-1", "hostname": ""},
        "file": {"name": "a.sh", "hash": {"sha256": "ab" * 32}},
        "url": {"full": "https://evil.example/"},
        "event": {"name": "not one", "count": 3},
    }
    observables = finding(records=(record, record), context={"user": {"name": "root"}})["observables"]
    assert [(one["type_id"], one["value"]) for one in observables] == [
        (2, "203.0.113.9"),
        (2, "2001:db8::1"),
        (4, "root"),
        (5, "root@example.com"),
        (4, "ann"),
        (1, "web-1"),
        (7, "a.sh"),
        (8, "ab" * 32),
        (6, "https://evil.example/"),
    ]
    assert observables[0]["name"] == "evidences.data.source.ip"


def test_observables_are_bounded() -> None:
    records = tuple({"source": {"ip": f"203.0.113.{number}"}} for number in range(200))
    assert len(finding(records=records)["observables"]) == 50


def test_what_is_too_long_loses_its_records_first() -> None:
    said = json.loads(alert_json(NOTIFICATIONS["many"], LIMIT, "ocsf"))
    assert "evidences" not in said
    assert said["unmapped"]["truncated"] is True
    assert said["finding_info"]["title"] == "Brute force from 203.0.113.9"
    assert finding()["unmapped"]["truncated"] is False
