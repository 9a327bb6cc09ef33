"""Past windows: what versions of detections would have said, which has to be what a controller said."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controller.author.history.conftest import Replay
from tests.playground import NOON, Playground, deploy
from trapline.author.checkout import Checkout
from trapline.author.history import past as past_module
from trapline.author.history.run import Past, Version, history, lake_of
from trapline.author.workshop import workshop
from trapline.detection.inference.infer import Inferred
from trapline.detection.inference.predicate import FALSE
from trapline.run import rules as knowledge
from trapline.state.schema import alerts, matches
from trapline.suppressions import parse
from trapline.window import Window

FAILED_LOGINS = """\
def detect(records):
    users = [record.deepget("user") for record in records if record.deepget("event.action") == "bad"]
    for user in sorted(set(users)):
        if users.count(user) >= 2:
            yield {"title": f"{user} {users.count(user)} times", "dedupe": user}
"""


def plain(found: Past) -> list[tuple[Any, ...]]:
    return [
        (one.title, one.dedupe, one.severity.value, one.match_count, one.first_match_at, one.last_match_at)
        for one in found.alerts
    ]


def raised(ground: Playground, identity: str) -> list[tuple[Any, ...]]:
    """What a controller raised, in the same words."""
    names = ("title", "dedupe", "severity", "match_count", "first_match_at", "last_match_at")
    rows = ground.rows(alerts, "first_match_at", "id")
    return [tuple(row[name] for name in names) for row in rows if row["identity"] == identity]


@pytest.mark.parametrize("id_path", ["event.id", None])
def test_it_says_what_a_controller_said_in_many_ticks(ground: Playground, replay: Replay, id_path: str | None) -> None:
    """Thresholds over the borders of windows, late records, keys and severities."""
    code = (
        "def detect(record):\n    return record.deepget('event.action') == 'bad'\n"
        "def dedupe(record):\n    return record['user']\n"
        "def severity(record):\n    return 'high' if record['user'] == 'root' else 'low'\n"
    )
    table = {"path": "lake/logs", "lag": "5m", "overlap": "20m", "id": id_path}
    ground.settings(tables={"logs": table})
    ground.detection("often", code, alert={"threshold": 3, "deduplication_window_minutes": 30})
    ground.detection("each", code, alert={"deduplication_window_minutes": 10})
    with ground.controller() as controller:
        deploy(ground, controller)
        for minute in range(0, 100, 5):
            ground.at(minute)
            if minute < 80:
                user = "root" if minute % 15 == 0 else "bob"
                ground.records(minute + 1, minute + 4, user=user)
                ground.records(minute - 6.5, user=user)  # later than it may be, though not than the overlap
                ground.records(minute + 2, user=user, event={"action": "good"})
            controller.tick()
    found = replay(0, 95)
    assert not any(one.errors for one in found.pasts.values())
    for name in ("often", "each"):
        assert plain(found.pasts[name]) == raised(ground, name)
        assert found.pasts[name].matches == sum(row["identity"] == name for row in ground.rows(matches))
    assert [len(found.pasts[name].alerts) > 2 for name in ("often", "each")] == [True, True]


def test_a_batch_rule_sees_the_windows_of_its_schedule(ground: Playground, replay: Replay) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs", "lag": "5m"}})
    ground.batch_detection("quarterly", FAILED_LOGINS, '[schedule]\nevery = "15m"\n')
    ground.batch_detection("usual", FAILED_LOGINS)
    ground.records(1, 9, 11, 14, 26, 27, 39, 41, 54, 56, user="root")
    with ground.controller() as controller:
        deploy(ground, controller)
        for minute in range(5, 70, 5):
            ground.at(minute)
            controller.tick()
    found = replay(0, 60)
    usual, quarterly = found.pasts["usual"], found.pasts["quarterly"]
    assert plain(usual) == raised(ground, "usual")
    assert usual.windows == 12
    # [10, 25), [25, 40), [40, 55): the first and the last are not whole in the hour, which live were not waited for.
    assert quarterly.windows == 3
    assert [one.title for one in quarterly.alerts] == ["root 2 times"]
    assert quarterly.matches == 3


def test_a_batch_rule_that_is_not_due_is_not_run(ground: Playground, replay: Replay) -> None:
    ground.batch_detection("weekly", FAILED_LOGINS, '[schedule]\nevery = "7d"\n')
    ground.records(1, 2, user="root")
    [past] = replay().pasts.values()
    assert (past.not_due, past.troubled, past.matches, past.windows) == (True, False, 0, 0)


def test_what_is_suppressed_and_what_waits_is_counted_apart(ground: Playground, replay: Replay) -> None:
    ground.detection("one", id="the-id", alert={"threshold": 3})
    ground.records(1, 2, 3, user="ci-7")
    ground.records(4, 5, user="root")
    text = b"suppressions: [{detection: the-id, fields: {user: ci-*}, owner: o, reason: r, expires: 2026-02-01}]"
    [past] = replay(suppressions=parse(text)[0]).pasts.values()
    assert (past.matches, past.suppressed, past.pending, list(past.alerts)) == (5, 3, 2, [])
    assert [at.minute for at in past.match_times] == [1, 2, 3, 4, 5]


def test_versions_of_one_detection_share_a_scan_and_name_records_alike(
    ground: Playground, tmp_path: Path, replay: Replay
) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs", "id": None}})
    ground.detection("one", id="x")
    ground.records(1, 1, 2, user="root")
    checkout = Checkout.around(ground.repository)
    [before] = checkout.detections
    ground.detection("one", "def detect(record):\n    return True\n", id="x")
    ground.records(3, event={"action": "good"}, user="root")
    ground.records(4, user="ci")
    quiet = b"suppressions: [{detection: x, fields: {user: ci}, owner: o, reason: r, expires: 2026-02-01}]"
    with (
        workshop(
            checkout, sandbox="process", base_image=None, now=lambda: NOON, on_progress=print, cache=tmp_path
        ) as place,
        closing(lake_of(checkout, ground.home, lambda: NOON)) as lake,
    ):
        [after] = Checkout.around(ground.repository).detections
        versions = [Version("x base", before, place.build(before)), Version("x head", after, place.build(after))]
        found = history(
            versions,
            Window(NOON, NOON + timedelta(hours=1)),
            lake=lake,
            workshop=place,
            settings=checkout.settings,
            suppressions=parse(quiet)[0],
        )
    assert len(found.scans) == 1
    base, head = (set(found.pasts[name].alerts[0].matches) for name in ("x base", "x head"))
    assert len(base) == 3
    assert len(head - base) == 1
    assert base < head
    assert [one.suppressed for one in found.pasts.values()] == [1, 1]


def test_a_disabled_detection_is_run_and_its_own_start_is_not_minded(ground: Playground, replay: Replay) -> None:
    ground.detection("new", enabled=False, schedule={"start": "2026-01-01T12:30:00Z", "every": "1d"})
    ground.records(1, 59, 61)
    [past] = replay().pasts.values()
    assert [at.minute for at in past.match_times] == [1, 59]


def test_a_table_that_cannot_be_read_holds_up_nobody_else(ground: Playground, replay: Replay) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs"}, "gone": {"path": "lake/gone"}})
    ground.detection("good")
    ground.detection("bad", tables=["gone"])
    ground.detection("worse", tables=["nowhere"])
    ground.records(1)
    found = replay().pasts
    assert found["good"].matches == 1
    assert not found["good"].troubled
    assert "lake/gone does not exist" in found["bad"].errors[0]
    assert "there is no table 'nowhere'" in found["worse"].errors[0]


@pytest.mark.parametrize("schedule", ["", '[schedule]\nevery = "15m"\n'])
def test_a_rule_that_always_fails_ends_with_a_report(
    ground: Playground, replay: Replay, caplog: pytest.LogCaptureFixture, schedule: str
) -> None:
    ground.settings(error_budget={"failures": 5})
    ground.detection("record", "def detect(record):\n    return record['nothing']\n")
    ground.batch_detection("batch", "def detect(records):\n    raise OSError('no')\n", schedule)
    ground.detection("good")
    ground.records(*range(60))
    with caplog.at_level(logging.INFO):
        found = replay().pasts
    assert (
        found["record"].errors[0].startswith("it was stopped where a controller would quarantine it: it failed 6 times")
    )
    assert found["record"].first_failure.startswith("detect() at detect.py:2: NoSuchField: no field 'nothing' here")
    assert found["record"].failures == 6
    assert "OSError: no" in found["batch"].first_failure + str(found["batch"].errors)
    assert (found["good"].matches, found["good"].windows, found["good"].records) == (60, 1, 60)
    assert (found["record"].windows, found["record"].records) == (0, 0)
    assert caplog.text == ""


def test_that_trapline_misjudged_a_rule_is_said(
    ground: Playground, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "infer", lambda *_: Inferred(FALSE, ()))
    ground.settings(inference={"audit_fraction": 1.0})
    ground.detection("one")
    ground.records(1, 2)
    [past] = replay().pasts.values()
    assert "this, it is an error of Trapline's" in past.errors[0]
    assert past.matches == 2


def test_a_failure_costs_no_other_record(ground: Playground, replay: Replay) -> None:
    ground.detection("one", "def detect(record):\n    return record['user']['name'] == 'x'\n")
    ground.records(1, user={"name": "x"})
    ground.records(2)
    [past] = replay().pasts.values()
    assert (past.matches, past.failures, list(past.errors), past.troubled) == (1, 1, [], True)


def test_an_empty_window_says_nothing(ground: Playground, replay: Replay) -> None:
    ground.detection("one")
    ground.records(-1, 61)
    found = replay()
    [past] = found.pasts.values()
    assert (past.matches, past.troubled, past.windows, found.records) == (0, False, 1, 0)


def test_of_a_noisy_rule_some_records_are_kept(
    ground: Playground, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_module, "RECORDS_OF_ALERT", 2)
    monkeypatch.setattr(past_module, "RECORDS_OF_VERSION", 3)
    code = "def detect(record):\n    return True\ndef dedupe(record):\n    return str(record['user'])\n"
    ground.detection("one", code)
    for user in range(3):
        ground.records(*(user + step / 100 for step in range(4)), user=user)
    [past] = replay().pasts.values()
    kept = [[match.record is not None for match in one.matches.values()] for one in past.alerts]
    assert kept == [[True, True, False, False], [True, False, False, False], [False] * 4]
    assert past.matches == 12


def test_nothing_of_a_table_over_its_budget_is_read(ground: Playground, replay: Replay) -> None:
    table = {"path": "lake/logs", "budget": {"day": 1, "query": 1}}
    ground.settings(tables={"logs": table})
    ground.detection("one")
    ground.records(1)
    found = replay()
    assert "its budget.day in trapline.yml allows 1 byte" in found.pasts["one"].errors[0]
    assert found.bytes_scanned == 0
    allowed = replay(most_bytes=10**9)
    assert allowed.pasts["one"].matches == 1
    assert allowed.read == {"logs": allowed.bytes_scanned} == allowed.pasts["one"].read


def test_nothing_in_the_home_is_changed(ground: Playground, replay: Replay) -> None:
    ground.detection("one")
    ground.records(1)
    before = {file: file.stat().st_mtime_ns for file in ground.home.rglob("*")}
    assert replay().pasts["one"].matches == 1
    assert {file: file.stat().st_mtime_ns for file in ground.home.rglob("*")} == before
