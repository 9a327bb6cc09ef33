"""Ticks over real Parquet files, with real workers: windows, alerts, failures, and what happens when things break."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from tests.playground import MATCH_BAD, NOON, Playground, column, deploy
from trapline.alerts import tell
from trapline.controller import Controller
from trapline.state.schema import alerts, checkpoints, deliveries, failures, matches, scans


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def positions(ground: Playground) -> dict[str, float]:
    """How many minutes after noon each detection has seen."""
    return {row["identity"]: (row["position"] - NOON).total_seconds() / 60 for row in ground.rows(checkpoints)}


def test_a_match_becomes_an_alert_and_a_delivery(ground: Playground, controller: Controller) -> None:
    ground.detection("one", display_name="One bad thing", alert={"severity": "high"}, description="why")
    deploy(ground, controller)
    ground.records(1, 2, event={"action": "good"})
    ground.records(3)
    ground.at(5)
    report = controller.tick()
    assert (report.matches, report.opened, len(report.scans)) == (1, 1, 1)
    [alert] = ground.rows(alerts)
    assert (alert["title"], alert["severity"], alert["match_count"]) == ("One bad thing", "high", 1)
    assert alert["first_match_at"] == NOON + timedelta(minutes=3)
    [match] = ground.rows(matches)
    assert match["alert_id"] == alert["id"]
    assert match["record"]["event"]["action"] == "bad"
    assert match["record"]["ts"] == "2026-01-01T12:03:00+00:00"
    [scan] = ground.rows(scans)
    assert alert["provenance"]["query_id"] == scan["id"]
    assert scan["records"] == 3
    delivery, _ = controller.deliver()
    assert delivery.delivered == 1
    assert "One bad thing" in ground.said[0]


def test_windows_follow_each_other_without_gap_or_double(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(0, 4.99, 5, 9, 9.99)
    for minute, total in [(5, 2), (10, 5), (10, 5), (15, 5)]:
        ground.at(minute)
        controller.tick()
        assert len(ground.rows(matches)) == total
        assert positions(ground) == {"one": minute}


def test_three_and_three_matches_in_two_ticks_open_one_alert_at_threshold_five(
    ground: Playground, controller: Controller
) -> None:
    ground.detection("one", alert={"threshold": 5, "deduplication_window_minutes": 15})
    deploy(ground, controller)
    ground.records(1, 2, 3, 6, 7, 8, 12)
    ground.at(5)
    assert controller.tick().opened == 0
    assert column(ground.rows(matches), "alert_id") == [None, None, None]
    ground.at(10)
    assert controller.tick().opened == 1
    [alert] = ground.rows(alerts)
    assert (alert["match_count"], alert["first_match_at"]) == (6, NOON + timedelta(minutes=1))
    ground.at(15)
    report = controller.tick()
    assert (report.opened, report.updated) == (0, 1)
    assert column(ground.rows(deliveries, "sequence"), "kind") == ["opened", "updated"]
    assert column(ground.rows(alerts), "match_count") == [7]


def test_dedupe_title_severity_and_destinations_come_from_the_rule(ground: Playground, controller: Controller) -> None:
    ground.settings(
        destinations={"terminal": {"type": "console"}, "pager": {"type": "console"}}, default_destinations=["terminal"]
    )
    ground.detection(
        "one",
        MATCH_BAD
        + "\ndef title(record): return 'by ' + record['user']\n"
        + "def dedupe(record): return record['user']\n"
        + "def severity(record): return 'critical' if record['user'] == 'eve' else 'low'\n"
        + "def destinations(record): return ['pager'] if record['user'] == 'eve' else []\n"
        + "def alert_context(record): return {'user': record['user']}\n",
    )
    deploy(ground, controller)
    ground.records(1, 2, user="eve")
    ground.records(3, user="bob")
    ground.at(5)
    controller.tick()
    eve, bob = ground.rows(alerts, "first_match_at")
    assert (eve["title"], eve["severity"], eve["match_count"], eve["destinations"]) == (
        "by eve",
        "critical",
        2,
        ["pager"],
    )
    assert (bob["dedupe"], bob["severity"], bob["destinations"], bob["context"]) == ("bob", "low", [], {"user": "bob"})
    assert column(ground.rows(deliveries), "destination") == ["pager"]


def test_severity_may_rise_while_an_alert_is_open(ground: Playground, controller: Controller) -> None:
    ground.detection("one", MATCH_BAD + "\ndef severity(record): return record['level']\n")
    deploy(ground, controller)
    for minute, level in [(1, "low"), (6, "high"), (11, "medium")]:
        ground.records(minute, level=level)
        ground.at(minute + 4)
        controller.tick()
    assert column(ground.rows(alerts), "severity") == ["high"]


def test_reading_a_window_again_finds_no_second_match(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1, 2)
    ground.at(5)
    controller.tick()
    before = (ground.rows(matches), ground.rows(alerts), len(ground.rows(deliveries)))
    with controller.database.transaction() as connection:
        connection.execute(sa.update(checkpoints).values(position=NOON))
    assert controller.tick().matches == 0
    assert (ground.rows(matches), ground.rows(alerts), len(ground.rows(deliveries))) == before


def test_equal_records_without_an_id_are_told_apart(ground: Playground, controller: Controller) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs", "id": None}})
    ground.detection("one", alert={"threshold": 3})
    deploy(ground, controller)
    ground.records(1, 1, 1, event={"id": "the same"})
    ground.at(5)
    assert controller.tick().matches == 3
    with controller.database.transaction() as connection:
        connection.execute(sa.update(checkpoints).values(position=NOON))
    assert controller.tick().matches == 0
    assert column(ground.rows(alerts), "match_count") == [3]


def test_a_crash_while_recording_leaves_nothing_half_done(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)

    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tell, "enqueue_all", crash)
        with pytest.raises(KeyboardInterrupt):
            controller.tick()
    for table in (matches, alerts, deliveries, scans):
        assert ground.rows(table) == []
    assert positions(ground) == {"one": 0}
    assert controller.tick().opened == 1


def test_detections_of_one_window_share_one_scan(ground: Playground, controller: Controller) -> None:
    anything = "def detect(record):\n    return True\n"
    ground.detection("one", anything)
    ground.detection("two", anything)
    ground.detection("filtered", anything, query={"where": "event.action = 'bad'"})
    deploy(ground, controller)
    ground.records(1, 2, event={"action": "good"})
    ground.records(3)
    ground.at(5)
    report = controller.tick()
    [scan] = report.scans
    assert (sorted(scan.detections), scan.records) == (["filtered", "one", "two"], 3)
    assert Counter(column(ground.rows(matches), "identity")) == {"filtered": 1, "one": 3, "two": 3}


def test_a_rule_of_a_window_sees_only_what_its_condition_lets_through(
    ground: Playground, controller: Controller
) -> None:
    counts = "def detect(records):\n    yield {'title': f'{len(records)} records'}\n"
    ground.batch_detection("all", counts)
    ground.batch_detection("bad", counts, "[query]\nwhere = \"event.action = 'bad'\"\n")
    ground.batch_detection("none", counts, "[query]\nwhere = \"event.action = 'nonesuch'\"\n")
    deploy(ground, controller)
    ground.records(1, 2, event={"action": "good"})
    ground.records(3)
    ground.at(5)
    assert len(controller.tick().scans) == 1
    assert {row["identity"]: row["title"] for row in ground.rows(alerts)} == {"all": "3 records", "bad": "1 records"}


def test_a_record_that_the_rule_fails_on_is_kept_and_the_others_still_match(
    ground: Playground, controller: Controller
) -> None:
    ground.detection("one", "def detect(record):\n    return record['event']['size'] > 10\n")
    deploy(ground, controller)
    ground.records(1, event={"size": 11})
    ground.records(2, event={"size": None})
    ground.records(3, event={"size": 12})
    ground.at(5)
    report = controller.tick()
    assert report.matches == 2
    assert "detect.py:2" in report.failures["one"]
    [failure] = ground.rows(failures)
    assert failure["error"].startswith("TypeError")
    assert (failure["function"], failure["file"], failure["line"]) == ("detect", "detect.py", 2)
    assert failure["record"]["event"]["size"] is None
    assert "TypeError" in controller.ledger.deployments()["one"].health_message
    ground.at(10)
    ground.records(6, event={"size": 1})
    controller.tick()
    assert controller.ledger.deployments()["one"].health_message == ""


def test_an_unusable_severity_is_said_and_the_configured_one_used(ground: Playground, controller: Controller) -> None:
    ground.detection("one", MATCH_BAD + "\ndef severity(record): return 'very'\n", alert={"severity": "medium"})
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    controller.tick()
    assert column(ground.rows(alerts), "severity") == ["medium"]
    assert "'very'" in column(ground.rows(failures), "error")[0]


def test_a_worker_that_dies_holds_up_nobody_else_and_loses_nothing(ground: Playground, controller: Controller) -> None:
    ground.detection("dies", f"import os\n{MATCH_BAD} and os._exit(3)\n")
    ground.detection("lives")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    report = controller.tick()
    assert (list(report.failures), report.errors) == (["dies"], {})
    assert positions(ground) == {"dies": 5, "lives": 5}
    assert column(ground.rows(matches), "identity") == ["lives"]
    [failure] = ground.rows(failures)
    assert (failure["identity"], failure["outcome"]) == ("dies", "crashed")
    deployment = controller.ledger.deployments()["dies"]
    assert deployment.health_message
    assert deployment.failing_since == ground.now
    ground.detection("dies")
    ground.at(10)
    deploy(ground, controller)
    assert controller.tick().settled == 1
    assert sorted(column(ground.rows(matches), "identity")) == ["dies", "lives"]
    assert positions(ground) == {"dies": 10, "lives": 10}


def test_a_table_that_is_missing_stops_only_those_who_read_it(ground: Playground, controller: Controller) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs"}, "other": {"path": "lake/other"}})
    ground.detection("one")
    ground.detection("two", tables=["logs", "other"])
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    report = controller.tick()
    assert list(report.errors) == ["two"]
    assert "table-missing" in report.errors["two"]
    assert report.matches == 2  # both see `logs`
    (ground.lake / "other").mkdir()
    ground.records(2, table="other")
    report = controller.tick()
    assert (report.errors, report.matches) == ({}, 1)


def test_a_batch_rule_sees_its_window_whole(ground: Playground, controller: Controller) -> None:
    ground.batch_detection(
        "burst",
        "def detect(records):\n"
        "    bad = [record for record in records if record['event']['action'] == 'bad']\n"
        "    if len(bad) >= 3:\n"
        "        yield {'record': bad[-1], 'title': f'{len(bad)} bad ones', 'how_many': len(bad)}\n",
        '[alert]\nseverity = "high"\n',
    )
    deploy(ground, controller)
    for minute in (1, 2, 3):
        ground.records(minute)  # three files, so several batches
    ground.at(5)
    assert controller.tick().matches == 1
    [alert] = ground.rows(alerts)
    assert (alert["title"], alert["severity"], alert["context"]) == ("3 bad ones", "high", {"how_many": 3})
    assert alert["first_match_at"] in [NOON + timedelta(minutes=m) for m in (1, 2, 3)]


def test_a_batch_rules_conclusion_without_a_record_is_a_match_of_its_window(
    ground: Playground, controller: Controller
) -> None:
    ground.batch_detection("count", "def detect(records):\n    yield {'title': 'counted', 'seen': len(records)}\n")
    deploy(ground, controller)
    ground.records(1, 2)
    ground.at(5)
    controller.tick()
    [match] = ground.rows(matches)
    assert (match["record"], match["context"], match["event_at"]) == (
        None,
        {"seen": 2},
        NOON + timedelta(minutes=5) - timedelta(microseconds=1),
    )


def test_late_records_are_waited_for_as_long_as_the_lag(ground: Playground, controller: Controller) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs", "lag": "2m"}})
    ground.detection("one")
    deploy(ground, controller)
    ground.at(5)
    controller.tick()
    assert positions(ground) == {"one": 3}
    ground.records(3.5)  # arrives late
    ground.at(10)
    assert controller.tick().matches == 1


def test_without_a_start_a_new_detection_begins_one_tick_ago_however_large_the_lag(
    ground: Playground, controller: Controller
) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs", "lag": "30m"}}, schedule={"every": "5m"})
    ground.detection("one")
    ground.at(60)
    deploy(ground, controller)
    ground.records(24, 26, 31)
    assert controller.tick().matches == 1
    ground.at(65)
    assert controller.tick().matches == 1


def test_a_first_scan_that_fails_is_made_up_for(ground: Playground, controller: Controller) -> None:
    ground.settings(tables={"logs": {"path": "lake/late"}}, schedule={"every": "5m"})
    ground.detection("one")
    ground.at(5)
    deploy(ground, controller)
    assert "table-missing" in controller.tick().errors["one"]
    (ground.lake / "late").mkdir()
    ground.records(1, table="late")
    ground.at(65)
    assert controller.tick().matches == 1


def test_times_beyond_what_python_holds_do_not_hide_a_record(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    deploy(ground, controller)
    rows = {
        "ts": pa.array([NOON], pa.timestamp("us", "UTC")),
        "event": pa.array([{"id": "e1", "action": "bad"}]),
        "far": pa.array([2**62], pa.timestamp("us", "UTC")),
        "fine": pa.array([1_767_268_800_123_456_789], pa.timestamp("ns")),
    }
    pq.write_table(pa.table(rows), ground.lake / "logs" / "odd.parquet")
    ground.at(5)
    report = controller.tick()
    assert (report.errors, report.matches) == ({}, 1)
    assert column(ground.rows(matches), "record")[0]["fine"].startswith("2026-01-01T12:00:00.123456")


def test_after_downtime_it_catches_up_in_bounded_windows(ground: Playground, controller: Controller) -> None:
    ground.settings(schedule={"start": NOON, "longest_window": "10m"})
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1, 11, 21, 34)
    ground.at(35)
    report = controller.tick()
    assert [(s.window.end - s.window.start).total_seconds() / 60 for s in report.scans] == [10, 10, 10, 5]
    assert report.matches == 4


def test_a_changed_detection_goes_on_where_the_old_one_stopped(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1, 6)
    ground.at(5)
    controller.tick()
    ground.detection("one", MATCH_BAD + "  # new\n")
    ground.at(10)
    deploy(ground, controller)
    assert controller.tick().matches == 1
    assert len(ground.rows(matches)) == 2


def test_replaying_an_alert_finds_its_matches_again(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1, 2)
    ground.at(5)
    controller.tick()
    ground.detection("one", "def detect(record):\n    return False\n")  # what runs today is not what raised it
    deploy(ground, controller)
    [alert] = ground.rows(alerts)
    result = controller.replay(alert)
    assert (len(result.found), result.missing) == (2, ())
    shutil.rmtree(ground.lake / "logs")
    (ground.lake / "logs").mkdir()
    assert len(controller.replay(alert).missing) == 2
    assert len(ground.rows(matches)) == 2
