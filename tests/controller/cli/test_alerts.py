"""`trapline alerts` for alerts about Trapline itself; those of detections are tested where detections run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.controller.alerts.beat import Beat
from trapline.alerts.operational import raise_alarm, settle_alarm
from trapline.alerts.record import Policy
from trapline.cli import cli
from trapline.detection.model import Severity
from trapline.errors import TraplineError
from trapline.state.database import Database

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_home(tmp_path)
    yield database
    database.close()


def sound(database: Database, *destinations: str) -> str:
    with database.transaction() as connection:
        return raise_alarm(
            connection,
            kind="quarantined",
            subject="root_login",
            title="root_login is quarantined",
            description="It failed on 3 windows in a row.",
            severity=Severity.HIGH,
            runbook="Look at `trapline logs root_login`.",
            destinations=destinations,
            context={"strikes": 3},
            replay="trapline status root_login",
            now=NOON,
            revision="0123abc",
            digest="feed",
        )


def run(home: Path, *arguments: str) -> Result:
    command = ["alerts", arguments[0], "--home", str(home), *arguments[1:]]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def test_the_listing_says_what_is_open_and_what_is_over(database: Database, tmp_path: Path) -> None:
    alert_id = sound(database)
    header, row = run(tmp_path, "list", "--detection", "trapline").stdout.splitlines()
    assert header.split()[:5] == ["ALERT", "STATUS", "SEVERITY", "DETECTION", "TITLE"]
    assert row.split()[:4] == [alert_id[:12], "open", "high", "trapline"]
    with database.transaction() as connection:
        settle_alarm(connection, kind="quarantined", subject="root_login", now=NOON + timedelta(minutes=1))
    assert run(tmp_path, "list").stdout.splitlines()[1].split()[1] == "resolved"
    [alert] = json.loads(run(tmp_path, "list", "--json").stdout)
    assert (alert["id"], alert["status"]) == (alert_id, "resolved")


def test_it_is_shown_without_a_scan_that_never_was(database: Database, tmp_path: Path) -> None:
    alert_id = sound(database)
    assert run(tmp_path, "show", alert_id).stdout.splitlines() == [
        "high root_login is quarantined",
        f"alert:       {alert_id} (open)",
        "detection:   trapline",
        "dedupe:      quarantined:root_login",
        "raised:      1, 2030-01-02 12:00:00 to 2030-01-02 12:00:00 UTC",
        "description: It failed on 3 windows in a row.",
        "runbook:     Look at `trapline logs root_login`.",
        'context:     {"strikes": 3}',
        "revision:    0123abc",
        "build:       feed",
        "more:        trapline status root_login",
        "",
        "it was delivered nowhere: `operations` in trapline.yml names no destination",
    ]


def test_its_deliveries_are_shown(database: Database, tmp_path: Path) -> None:
    alert_id = sound(database, "pager")
    *_, header, row = run(tmp_path, "show", alert_id[:8]).stdout.splitlines()
    assert header.split()[:3] == ["DELIVERY", "DESTINATION", "KIND"]
    assert row.split()[1:4] == ["pager", "opened", "pending"]


def test_there_is_nothing_to_replay(database: Database, tmp_path: Path) -> None:
    alert_id = sound(database)
    with pytest.raises(TraplineError) as refused:
        run(tmp_path, "replay", alert_id)
    assert refused.value.message == (
        f"alert {alert_id} is about Trapline itself: no detection raised it, so that there is nothing to replay"
    )
    assert refused.value.remedy == "`trapline status root_login` shows more of it"


# Alerts that are resolved by hand


@pytest.fixture
def beat(database: Database) -> Beat:
    beat = Beat(database, policy=Policy(storm=5))
    beat.tick(beat.match(1), at=5)
    return beat


def test_resolving_says_what_was_resolved(beat: Beat, tmp_path: Path) -> None:
    alert_id = beat.alerts()[0]["id"]
    said = run(tmp_path, "resolve", alert_id[:8], "--by", "carol", "--reason", "a\ndrill").stdout
    assert said == f"{alert_id[:12]} resolved: alice failed to log in\n"
    again = run(tmp_path, "resolve", alert_id, "--by", "dave").stdout
    assert again == f"{alert_id[:12]} was resolved by carol already: alice failed to log in\n"
    assert " UTC by carol: a drill" in run(tmp_path, "show", alert_id).stdout
    assert [kind for _, kind, *_ in beat.said()] == ["opened", "resolved"]


def test_who_resolves_it_is_whoever_runs_the_command(
    beat: Beat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "erin")
    run(tmp_path, "resolve", beat.alerts()[0]["id"])
    assert beat.alerts()[0]["resolved_by"] == "erin"


def test_of_several_none_is_resolved_where_one_is_not_there(beat: Beat, tmp_path: Path) -> None:
    with pytest.raises(TraplineError, match="no alert has an id that starts with 'zzz'"):
        run(tmp_path, "resolve", beat.alerts()[0]["id"], "zzz")
    assert beat.alerts()[0]["status"] == "open"


def test_the_listing_is_narrowed_to_a_status_or_a_storm(beat: Beat, tmp_path: Path) -> None:
    beat.tick(*(beat.match(6, f"user{number}") for number in range(9)), at=10)
    [storm] = beat.alerts(identity="trapline")
    listed = json.loads(run(tmp_path, "list", "--storm", storm["id"][:8], "--json").stdout)
    assert {alert["dedupe"] for alert in listed} == {f"user{number}" for number in range(9)}
    said = run(tmp_path, "resolve", storm["id"]).stdout
    assert said == f"{storm['id'][:12]} resolved and 9 alerts in it: 9 alerts at once: Failed logins\n"
    assert [alert["dedupe"] for alert in json.loads(run(tmp_path, "list", "--status", "open", "--json").stdout)] == [
        "alice"
    ]
    assert f"{storm['id']}, among others" in run(tmp_path, "show", listed[0]["id"]).stdout
