"""The long-running controller killed with SIGKILL, wherever it is, while six other sides misbehave.

Every alert arrives everywhere, in order, and once wherever that can be. The full size:

    TRAPLINE_TEST_KILLS=200 .venv/bin/pytest tests/reliability/test_alerts.py -s
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.aws import CREDENTIALS
from tests.playground import NOON, Playground, deploy
from tests.reliability.alert_driver import LEASE
from tests.reliability.conftest import Drive
from tests.reliability.other_sides import SPEED, Heard, OtherSides, moment, other_sides

KILLS = int(os.environ.get("TRAPLINE_TEST_KILLS", "10"))
HOURS = KILLS * 11 // 10  # by the test's clock: each start is an hour later, and nobody is killed who has nothing to do
RULES = 2
MATCHES = 25 * KILLS
COUNTED = "rule_0"  # the one with a threshold
THRESHOLD = 4
OF_RULES = "WHERE identity LIKE 'rule_%'"  # and not of Trapline itself, which may have its own about the other sides
STEPS = ("tick", "feed", "after feed", "after tick", "send", "after send", "find", "after find")
RULE = """\
def detect(record):
    return record["rule"] == "{name}"
def dedupe(record):
    return record["key"]
def title(record):
    return record["key"] + " did something"
"""


@pytest.fixture
def expected(ground: Playground, chance: Random) -> Mapping[str, int]:
    """Detections, and records spread over the hours; how many matches each (detection, key) has.

    No key is in two hours, so that whatever has a key is one alert.
    """
    for number in range(RULES):
        name = f"rule_{number}"
        threshold = {"threshold": THRESHOLD} if name == COUNTED else {}
        ground.detection(name, RULE.format(name=name), alert={"auto_resolve": True, **threshold})
    records = [_record(number, chance) for number in range(MATCHES)]
    pq.write_table(pa.Table.from_pylist(records), ground.lake / "logs" / "all.parquet")
    return Counter(record["key"] for record in records)


def _record(number: int, chance: Random) -> dict[str, Any]:
    hour, rule = number % HOURS, f"rule_{chance.randrange(RULES)}"
    at = NOON + timedelta(hours=hour, minutes=chance.uniform(0, 59))
    return {"ts": at, "event": {"id": f"e{number}"}, "rule": rule, "key": f"{rule} in hour {hour}"}


@dataclass(slots=True)
class Clock:
    """The test's clock, which is put forward when somebody was killed, and goes on by itself."""

    ahead: float

    def now(self) -> datetime:
        return moment(self.ahead)

    def forward(self, by: timedelta) -> None:
        self.ahead += by.total_seconds()


@pytest.mark.timeout(60 + 10 * KILLS)
def test_killed_anywhere_every_alert_arrives_and_in_order(
    ground: Playground, driving: Callable[..., Drive], chance: Random, expected: Mapping[str, int], tmp_path: Path
) -> None:
    clock = Clock(LEASE.total_seconds() - SPEED * time.monotonic())
    with other_sides(tmp_path, chance, clock.now) as others:
        _deploy(ground, others)
        until = NOON + timedelta(hours=HOURS + 2)
        drive = driving(
            "alert_driver",
            ground.home,
            ground.repository,
            until.isoformat(),
            **CREDENTIALS,
            AWS_ENDPOINT_URL=others.aws,
        )
        hit = Counter[str]()
        long = 20.0  # and then by how long it takes here to begin to send
        while hit.total() < KILLS:
            order = _somewhere(chance, long) if hit else {"at": "send", "after": long}
            answer = drive(**order, ahead=clock.ahead)
            assert answer.killed, answer.error or "there was nothing left to do"
            long = long if hit else 2 * answer.seconds
            hit[answer.step or "start"] += 1
            _assert_whole(ground)
            clock.forward(LEASE)
        print(f"killed at {dict(hit)}")
        clock.forward(max(until - clock.now(), timedelta()))
        _finish(drive, clock, ground)
        _assert_whole(ground)
        _assert_recorded(ground, expected)
        _assert_told(ground, others)


def _finish(drive: Drive, clock: Clock, ground: Playground) -> None:
    """Has what is left done. Nobody leads for longer than the lease: by this clock it is renewed too late."""
    for _ in range(2 + KILLS // 10):
        answer = drive(after=LEASE.total_seconds() / SPEED * 0.8, ahead=clock.ahead)
        assert not answer.error
        if not answer.killed:
            return
        clock.forward(LEASE)
    pytest.fail(f"it does not come to an end: {_left(ground)}")


def _deploy(ground: Playground, others: OtherSides) -> None:
    ground.settings(
        alerts={"storm": 100_000},  # no kill and no backlog makes one out of many
        destinations={name: {"type": name, **settings} for name, settings in others.settings.items()},
        default_destinations=list(others.settings),
        schedule={"start": NOON, "every": "5m", "longest_window": "30m"},
    )
    with ground.controller() as controller:
        deploy(ground, controller)


def _somewhere(chance: Random, long: float) -> dict[str, Any]:
    """Where to kill: at any moment, at the edge of a step, between transactions; after so many seconds in any case."""
    match chance.choice(["moment", "edge", "transaction"]):
        case "edge":
            return {"at": chance.choice(STEPS), "nth": chance.randint(1, 8), "after": long}
        case "transaction":
            return {"at": "transaction", "nth": chance.randint(1, 80), "after": long}
    return {"after": chance.uniform(0.1, long), "family": chance.random() < 0.5}


def _rows(ground: Playground, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(ground.home / "trapline.db")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


def _left(ground: Playground) -> list[dict[str, Any]]:
    waiting = "SELECT destination, state, attempts, reason FROM deliveries WHERE settled_at IS NULL LIMIT 5"
    return _rows(ground, waiting) + _rows(ground, "SELECT title FROM alerts WHERE status = 'open' LIMIT 5")


def _assert_whole(ground: Playground) -> None:
    assert _rows(ground, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert _rows(ground, "PRAGMA foreign_key_check") == []


def _assert_recorded(ground: Playground, expected: Mapping[str, int]) -> None:
    """Every match once, and every alert with all of its matches."""
    found = [json.loads(row["record"]) for row in _rows(ground, "SELECT record FROM matches")]
    assert Counter(record["event"]["id"] for record in found) == Counter(f"e{number}" for number in range(MATCHES))
    wanted = {key: count for key, count in expected.items() if count >= THRESHOLD or not key.startswith(COUNTED)}
    known = _rows(ground, f"SELECT dedupe, match_count, status FROM alerts {OF_RULES}")
    assert {row["dedupe"]: row["match_count"] for row in known} == wanted
    assert len(known) == len(wanted)
    assert {row["status"] for row in known} == {"resolved"}


def _assert_told(ground: Playground, others: OtherSides) -> None:
    """Every destination heard of every alert what was to be said, in order, and once."""
    queued = _rows(ground, "SELECT * FROM deliveries ORDER BY sequence")
    assert {row["state"] for row in queued} == {"delivered"}
    alerts = {row["id"] for row in _rows(ground, f"SELECT id FROM alerts {OF_RULES}")}
    said: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in queued:
        said[row["destination"]][row["alert_id"]].append(row)
    assert set(said) == set(others.settings)
    for about in said.values():
        assert set(about) == alerts
        for rows in about.values():
            kinds = [kind for kind, _ in groupby(row["kind"] for row in rows)]
            assert kinds in (["opened", "resolved"], ["opened", "updated", "resolved"])
    heard: dict[str, Heard] = {
        "webhook": others.heard_by_webhook(),
        "sqs": others.heard_by_sqs(),
        "file": others.heard_by_file(),
        "slack": others.heard_by_slack(),
        "jira": others.heard_by_jira(),
    }
    for name, by_alert in heard.items():
        wanted = {id: [row["id"] for row in rows] for id, rows in said[name].items()}
        if name == "slack":
            wanted = {id: ["message", *ids[1:]] for id, ids in wanted.items()}
        assert by_alert == wanted, name
    _assert_paged(others, said["pagerduty"])
    print(f"{len(alerts)} alerts, {len(queued)} deliveries, {sum(row['attempts'] for row in queued)} attempts")
    print(f"{others.webhook.repeats} repeats that the webhook's receiver dropped")


def _assert_paged(others: OtherSides, said: Mapping[str, list[dict[str, Any]]]) -> None:
    """One alert there for each of ours, which nothing opened again; each of its triggers at least once, in order."""
    pagerduty = others.pagerduty
    assert sorted(one.dedup_key for one in pagerduty.alerts) == sorted(f"trapline:{id}" for id in said)
    assert {one.status for one in pagerduty.alerts} == {"resolved"}
    for one in pagerduty.alerts:
        times = [trigger["payload"]["timestamp"] for trigger in one.triggers]
        assert times == sorted(times)
        assert len(set(times)) == len(said[one.dedup_key.removeprefix("trapline:")]) - 1
