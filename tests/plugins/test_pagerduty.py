"""The PagerDuty destination: the contract, what PagerDuty holds afterwards, and what whoever is paged reads."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from trapline_plugins.api import Delivered, Kind, Notification, Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.contract import HttpDestinationContract
from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.fakes.faults import Fault
from trapline_plugins.fakes.pagerduty import FakePagerDuty, fake_pagerduty
from trapline_plugins.pagerduty import MAX_BYTES, PagerDuty, PagerDutyConfig
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification

KEY = "s3cr3t" + "0" * 26


@pytest.fixture
def pagerduty() -> Iterator[FakePagerDuty]:
    with fake_pagerduty(KEY) as fake:
        yield fake


@pytest.fixture
def tools() -> Iterator[Tools]:
    with httpx.Client(timeout=5, trust_env=False) as http:
        yield Tools(http, lambda: NOW, pytest.fail)


def destination(tools: Tools, url: str, **settings: Any) -> PagerDuty:
    return PagerDuty("oncall", PagerDutyConfig.model_validate({"url": url, "routing_key": KEY, **settings}), tools)


def send(fake: FakePagerDuty, tools: Tools, notification: Notification | None = None, **settings: Any) -> Outcome:
    notification = notification or a_notification()
    oncall = destination(tools, fake.url, **settings)
    return oncall.send(notification, oncall.render(notification), "")


class TestPagerDutyContract(HttpDestinationContract):
    secrets = (KEY,)

    def make(self, tools: Tools, url: str) -> PagerDuty:
        return destination(tools, url)

    def taken(self, request: Request) -> Answer:
        return Answer(202, b'{"status": "success"}')

    def assert_within_limits(self, rendered: dict[str, Any]) -> None:
        assert len(json.dumps(rendered)) < MAX_BYTES / 2
        assert 0 < len(rendered["dedup_key"]) <= 255
        if rendered["event_action"] == "trigger":
            assert 0 < len(rendered["payload"]["summary"]) <= 1024
            assert 0 < len(rendered["payload"]["source"]) <= 255


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_pagerduty_takes_whatever_is_rendered(case: str, pagerduty: FakePagerDuty, tools: Tools) -> None:
    assert send(pagerduty, tools, NOTIFICATIONS[case]) == Delivered(ref="trapline:a1b2c3")
    assert len(pagerduty.alerts) + len(pagerduty.dropped) == 1


def test_what_whoever_is_paged_reads(pagerduty: FakePagerDuty, tools: Tools) -> None:
    send(pagerduty, tools, a_notification(false_positives=("Penetration tests.",), attack=("ta0006:t1110",)))

    [alert] = pagerduty.alerts
    [event] = alert.triggers
    assert event["links"] == [
        {
            "href": "https://attack.mitre.org/techniques/T1110/",
            "text": "https://attack.mitre.org/techniques/T1110/",
        }
    ]
    assert event["payload"] == {
        "summary": "HIGH: Brute force from 203.0.113.9",
        "severity": "error",
        "source": "203.0.113.9",
        "component": "aws_cloudtrail",
        "group": "login_brute_force_by_ip",
        "timestamp": "2030-01-02T03:04:05+00:00",
        "custom_details": {
            "Status": "opened",
            "Severity": "high",
            "Matches": "5",
            "Seen": "2030-01-02 02:54:05 to 03:03:05 UTC",
            "About": "203.0.113.9",
            "Detection": "login_brute_force_by_ip",
            "ATT&CK": "TA0006:T1110",
            "Tags": "brute_force",
            "Evidence": {"user.name": "root"},
            "Why": "Failed logins exceeded the threshold.",
            "Runbook": "1. Look for a login that succeeded.\n2. Block the address.",
            "False positives": ["Penetration tests."],
            "Alert": "a1b2c3",
            "Table": "aws_cloudtrail, 2030-01-02 02:49:05 to 03:04:05 UTC",
            "Revision": "0123456789abcdef0123456789abcdef01234567",
            "Replay": "trapline alerts replay a1b2c3",
        },
    }


def test_nothing_from_a_log_can_be_clicked(tools: Tools) -> None:
    url = "https://evil.example/x"
    everywhere = dict.fromkeys(("title", "dedupe", "description", "runbook"), url)
    notification = a_notification(**everywhere, false_positives=(url,), context={url: [url]}, references=())
    rendered = json.dumps(destination(tools, "http://localhost/").render(notification))
    assert "evil.example" not in rendered
    assert "hxxps[:]//evil[.]example/x" in rendered


def test_an_alert_is_one_alert_there_from_its_beginning_to_its_end(pagerduty: FakePagerDuty, tools: Tools) -> None:
    for kind in (Kind.OPENED, Kind.UPDATED, Kind.RESOLVED):
        send(pagerduty, tools, a_notification(kind=kind))
    [alert] = pagerduty.alerts
    assert (alert.dedup_key, alert.status, len(alert.triggers)) == ("trapline:a1b2c3", "resolved", 2)


def test_another_alert_with_the_same_dedupe_is_another_alert_there(pagerduty: FakePagerDuty, tools: Tools) -> None:
    send(pagerduty, tools)
    send(pagerduty, tools, a_notification(kind=Kind.RESOLVED))
    send(pagerduty, tools, a_notification(alert_id="d4e5f6"))
    assert [(alert.dedup_key, alert.status) for alert in pagerduty.alerts] == [
        ("trapline:a1b2c3", "resolved"),
        ("trapline:d4e5f6", "triggered"),
    ]


def test_a_resolve_of_what_never_arrived_opens_nothing(pagerduty: FakePagerDuty, tools: Tools) -> None:
    assert isinstance(send(pagerduty, tools, a_notification(kind=Kind.RESOLVED)), Delivered)
    assert pagerduty.alerts == []
    assert len(pagerduty.dropped) == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.LOST_ANSWER, Unknown),
        (Fault.SLOW, Unknown),
        (Fault.BROKEN, Retry),
        (Fault.RATE_LIMITED, Retry),
    ],
)
def test_nobody_is_paged_twice(fault: Fault, outcome: type, pagerduty: FakePagerDuty, tools: Tools) -> None:
    pagerduty.faults.expect(fault)
    assert isinstance(send(pagerduty, tools, timeout=0.3), outcome)
    assert isinstance(send(pagerduty, tools), Delivered)
    assert [alert.status for alert in pagerduty.alerts] == ["triggered"]


def test_a_limit_is_respected(pagerduty: FakePagerDuty, tools: Tools) -> None:
    pagerduty.faults.expect(Fault.RATE_LIMITED)
    assert send(pagerduty, tools) == Retry("it answered 429 Too Many Requests", after=timedelta(seconds=7))


def test_a_wrong_key_needs_a_person(pagerduty: FakePagerDuty, tools: Tools) -> None:
    outcome = send(pagerduty, tools, routing_key="x" * 32)
    assert outcome == Rejected("it answered 400 Bad Request: is `routing_key` that of an Events API v2 integration?")
    pagerduty.faults.expect(Fault.UNAUTHORISED)
    assert send(pagerduty, tools) == outcome


def test_a_yes_of_somebody_else_is_no_page(tools: Tools) -> None:
    with serving(lambda _: Answer(200, b"<h1>Welcome to our Wi-Fi</h1>")) as server:
        oncall = destination(tools, server.url)
        outcome = oncall.send(a_notification(), oncall.render(a_notification()), "")
    assert outcome == Rejected("it answered 200, not 202: `url` is not that of the Events API v2")


def test_a_key_goes_nowhere_else(pagerduty: FakePagerDuty) -> None:
    redirect = Answer(307, headers=(("Location", pagerduty.url),))
    with serving(lambda _: redirect) as server, httpx.Client(follow_redirects=True, trust_env=False) as http:
        oncall = destination(Tools(http, lambda: NOW, pytest.fail), server.url)
        outcome = oncall.send(a_notification(), oncall.render(a_notification()), "")
        assert oncall.check() is None
    assert isinstance(outcome, Rejected)
    assert pagerduty.alerts == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info"), ("info", "info")],
)
def test_severities(ours: Any, theirs: str, tools: Tools) -> None:
    rendered = destination(tools, "http://localhost/").render(a_notification(severity=ours))
    assert rendered["payload"]["severity"] == theirs


def test_check_tells_whether_anybody_is_there(pagerduty: FakePagerDuty, tools: Tools) -> None:
    assert destination(tools, pagerduty.url).check() is None
    with serving(lambda _: Answer(200)) as server:
        pass
    assert destination(tools, server.url).check() == "no connection: ConnectError: [Errno 111] Connection refused"


def test_the_fake_shows_what_it_holds(pagerduty: FakePagerDuty, tools: Tools) -> None:
    send(pagerduty, tools, NOTIFICATIONS["hostile"])
    page = tools.http.get(pagerduty.url.replace("v2/enqueue", "")).text
    assert "triggered, error, " in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (b"{", "JSON parse error"),
        (b"[]", "Event object format is unrecognized"),
        (b"x" * 600_000, "Event is too large"),
        ({"event_action": "open"}, "'event_action' is invalid"),
        ({"event_action": "resolve"}, "'dedup_key' is missing or too long"),
        ({"dedup_key": "k" * 256}, "'dedup_key' is missing or too long"),
        ({"payload": {}}, "'payload.summary' is missing, blank or too long"),
        ({"payload": {"summary": "s" * 1025}}, "'payload.summary' is missing, blank or too long"),
        ({"payload": {"summary": "s"}}, "'payload.source' is missing or blank"),
        ({"payload": {"summary": "s", "source": "s", "severity": "high"}}, "'payload.severity' is invalid"),
    ],
)
def test_the_fake_refuses_what_pagerduty_refuses(
    event: Any, error: str, pagerduty: FakePagerDuty, tools: Tools
) -> None:
    body = event if isinstance(event, bytes) else json.dumps({"event_action": "trigger", "routing_key": KEY, **event})
    answer = tools.http.post(pagerduty.url, content=body)
    assert (answer.status_code, answer.json()["errors"]) == (400, [error])
    assert pagerduty.alerts == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"routing_key": "short"}, "this is not an integration key"),
        ({"routing_key": "é" * 32}, "this is not an integration key"),
        ({"url": "events.pagerduty.com"}, "this is not an http:// or https:// address"),
        ({"timeout": 21}, "less than or equal to 20"),
        ({"severity": "high"}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PagerDutyConfig.model_validate({"routing_key": KEY, **settings})
