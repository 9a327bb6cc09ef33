"""Trapline's own troubles reach people once, and so does their end."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from trapline.alerts.operational import REMIND_AFTER, open_alarms, raise_alarm, settle_alarm
from trapline.alerts.store import deliveries_of, find_alert, list_alerts
from trapline.delivery.router import Router
from trapline.detection.model import Severity
from trapline.state.database import Database
from trapline_plugins.api import Tools
from trapline_plugins.fake_server import Answer, serving
from trapline_plugins.samples import HOSTILE_TEXT
from trapline_plugins.webhook import Webhook, WebhookConfig

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=10)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_home(tmp_path)
    yield database
    database.close()


def sound(database: Database, now: datetime = NOON, **changes: Any) -> str:
    """Raises the alarm of these tests, with what is given changed."""
    alarm = {
        "kind": "quarantined",
        "subject": "root_login",
        "title": "root_login is quarantined",
        "description": "3 windows in a row failed.",
        "severity": Severity.HIGH,
        "runbook": "Look at what it printed.",
        "destinations": ["pager", "chat"],
        "context": {"strikes": 3},
        "replay": "trapline status root_login",
    }
    with database.transaction() as connection:
        return raise_alarm(connection, **{**alarm, **changes}, now=now)


def settle(database: Database, now: datetime = LATER, subject: str = "root_login") -> str | None:
    with database.transaction() as connection:
        return settle_alarm(connection, kind="quarantined", subject=subject, now=now)


def said(database: Database, alert_id: str) -> list[tuple[str, str]]:
    return [(row["destination"], row["kind"]) for row in deliveries_of(database, alert_id)]


OPENED = [("pager", "opened"), ("chat", "opened")]


def test_an_alarm_is_an_alert_like_any_other(database: Database) -> None:
    alert_id = sound(database, revision="0123abc", digest="feed")
    [alert] = list_alerts(database)
    assert alert["id"] == alert_id
    assert (alert["identity"], alert["detection"]) == ("trapline", "trapline")
    assert alert["dedupe"] == "quarantined:root_login"
    assert (alert["title"], alert["severity"], alert["status"]) == ("root_login is quarantined", "high", "open")
    assert (alert["description"], alert["runbook"]) == ("3 windows in a row failed.", "Look at what it printed.")
    assert (alert["context"], alert["destinations"], alert["match_count"]) == ({"strikes": 3}, ["pager", "chat"], 1)
    assert {alert[name] for name in ("first_match_at", "last_match_at", "opened_at", "updated_at")} == {NOON}
    assert alert["provenance"] == {
        "revision": "0123abc",
        "digest": "feed",
        "table": "",
        "window_start": "2030-01-02T12:00:00Z",
        "window_end": "2030-01-02T12:00:00Z",
        "query_id": "",
        "bytes_scanned": 0,
        "replay": "trapline status root_login",
    }
    assert said(database, alert_id) == OPENED
    payload = deliveries_of(database, alert_id)[0]["notification"]
    assert (payload["title"], payload["records"], payload["tags"]) == ("root_login is quarantined", [], [])


def test_raised_again_it_is_counted_and_nobody_is_told_for_an_hour(database: Database) -> None:
    alert_id = sound(database)
    again = sound(database, LATER, description="4 windows in a row failed.", severity=Severity.LOW, title="other")
    assert again == alert_id
    [alert] = list_alerts(database)
    assert (alert["match_count"], alert["first_match_at"], alert["last_match_at"]) == (2, NOON, LATER)
    assert (alert["title"], alert["severity"]) == ("root_login is quarantined", "high")
    assert alert["description"] == "4 windows in a row failed."
    assert said(database, alert_id) == OPENED


def test_after_an_hour_they_are_reminded_once_an_hour(database: Database) -> None:
    alert_id = sound(database)
    updated = [("pager", "updated"), ("chat", "updated")]
    sound(database, NOON + REMIND_AFTER - timedelta(seconds=1))
    assert said(database, alert_id) == OPENED
    sound(database, NOON + REMIND_AFTER, severity=Severity.CRITICAL)
    assert said(database, alert_id) == OPENED + updated
    assert deliveries_of(database, alert_id)[-1]["notification"]["severity"] == "critical"
    assert deliveries_of(database, alert_id)[-1]["notification"]["match_count"] == 3
    sound(database, NOON + REMIND_AFTER * 2 - timedelta(seconds=1))
    assert said(database, alert_id) == OPENED + updated
    sound(database, NOON + REMIND_AFTER * 2)
    assert said(database, alert_id) == OPENED + updated + updated


def test_a_destination_that_is_new_hears_of_it_at_once(database: Database) -> None:
    alert_id = sound(database, destinations=["pager", "pager"])
    assert find_alert(database, alert_id)["destinations"] == ["pager"]
    assert said(database, alert_id) == [("pager", "opened")]
    sound(database, LATER, destinations=["chat"])
    assert said(database, alert_id) == [("pager", "opened"), ("chat", "opened")]
    sound(database, LATER + timedelta(minutes=1))
    assert len(said(database, alert_id)) == 2
    settle(database)
    assert said(database, alert_id)[2:] == [("pager", "resolved"), ("chat", "resolved")]


def test_settled_it_is_resolved_and_the_next_one_is_a_new_alert(database: Database) -> None:
    alert_id = sound(database)
    sound(database, kind="base-image")
    sound(database, subject="other")
    assert settle(database) == alert_id
    assert find_alert(database, alert_id)["status"] == "resolved"
    assert said(database, alert_id) == [*OPENED, ("pager", "resolved"), ("chat", "resolved")]
    assert [alert["status"] for alert in list_alerts(database)].count("open") == 2
    assert settle(database) is None
    assert len(said(database, alert_id)) == 4
    assert sound(database) != alert_id, "even at the same moment"


def test_what_is_open_can_be_asked_for_by_kind(database: Database) -> None:
    sound(database, LATER, subject="late")
    sound(database, subject="a:b%")
    sound(database, subject="over")
    settle(database, subject="over")
    for kind in ("quarantine", "quarantineds", "QUARANTINED"):
        sound(database, kind=kind)
    with database.reading() as connection:
        assert open_alarms(connection, kind="quarantined") == ["a:b%", "late"]
        assert open_alarms(connection, kind="quarantine_") == []


def test_what_was_never_raised_needs_no_settling(database: Database) -> None:
    assert settle(database) is None
    assert list_alerts(database) == []


def test_without_destinations_it_is_listed_and_logged(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trapline")
    alert_id = sound(database, destinations=[])
    assert caplog.messages == ["root_login is quarantined (trapline status root_login)"]
    sound(database, LATER, destinations=[])
    settle(database)
    assert caplog.messages[1:] == ["resolved: root_login is quarantined"]
    [alert] = list_alerts(database, detection="trapline")
    assert (alert["status"], alert["match_count"]) == ("resolved", 2)
    assert said(database, alert_id) == []


def test_nothing_is_said_of_what_was_rolled_back(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as connection:
        raise_alarm(
            connection,
            kind="k",
            subject="s",
            title="t",
            description="d",
            severity=Severity.LOW,
            runbook=None,
            destinations=["pager"],
            context={},
            replay="trapline status",
            now=NOON,
        )
        raise RuntimeError
    assert list_alerts(database) == []
    with database.reading() as connection:
        assert connection.execute(sa.text("select count(*) from deliveries")).scalar() == 0


def test_texts_may_be_hostile(database: Database) -> None:
    alert_id = sound(
        database,
        title=HOSTILE_TEXT,
        description=HOSTILE_TEXT * 1_000,
        runbook=HOSTILE_TEXT,
        context={HOSTILE_TEXT: HOSTILE_TEXT, "when": NOON},
    )
    alert = find_alert(database, alert_id)
    assert "\n" not in alert["title"] and "\x1b" not in alert["title"]
    assert len(alert["description"]) < 11_000
    assert "\0" not in alert["description"] + alert["runbook"]


def test_a_webhook_hears_of_the_alarm_once_and_of_its_end(database: Database) -> None:
    with serving(lambda _: Answer(200)) as server, httpx.Client(trust_env=False) as http:
        config = WebhookConfig.model_validate({"url": server.url})
        webhook = Webhook("pager", config, Tools(http, lambda: NOON, pytest.fail))

        def delivered(now: datetime) -> int:
            return Router(database, {"pager": webhook}, now=lambda: now, random=lambda: 0.5).deliver().delivered

        sound(database, destinations=["pager"])
        assert delivered(NOON) == 1
        sound(database, destinations=["pager"])
        assert delivered(NOON) == 0
        settle(database)
        assert delivered(LATER) == 1
        assert delivered(LATER) == 0
    opened, resolved = [json.loads(request.body) for request in server.requests]
    assert (opened["type"], resolved["type"]) == ("alert.opened", "alert.resolved")
    assert opened["data"]["alert_id"] == resolved["data"]["alert_id"]
    assert opened["data"]["detection"] == "trapline"
    assert opened["data"]["dedupe"] == "quarantined:root_login"
    assert opened["data"]["provenance"]["replay"] == "trapline status root_login"
    assert (opened["data"]["match_count"], resolved["data"]["match_count"]) == (1, 2)
