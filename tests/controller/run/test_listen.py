"""What lands in a table, in real time: the same alerts as a scheduled run, once, however often it comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.controller.run.landing import keys, landing, listen_until, ready
from tests.playground import MATCH_BAD, NOON, Playground, column, deploy, eventually
from trapline.controller import Controller
from trapline.errors import TraplineError
from trapline.run import listen
from trapline.state.schema import alerts, checkpoints, failures, matches, spoiled, streams
from trapline.state.streams import keep_stream, read_streams
from trapline.workers.interface import WorkerError
from trapline.workers.pool import Pool

THRESHOLD = {"alert": {"threshold": 3, "deduplication_window_minutes": 60}}
TITLED = f"{MATCH_BAD}\ndef title(record):\n    return 'bad ' + str(record.deepget('event.id'))[:0] + 'thing'\n"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return landing(tmp_path)


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def test_what_lands_becomes_an_alert_and_a_delivery(ground: Playground, controller: Controller) -> None:
    ground.detection("one", display_name="A bad thing", realtime=True)
    ready(ground, controller)
    assert ground.rows(alerts) == []
    ground.records(1, 2)
    ground.records(3, event={"action": "good"})
    listen_until(controller, lambda: keys(ground) == 2)
    [alert] = ground.rows(alerts)
    assert (alert["title"], alert["match_count"]) == ("A bad thing", 2)
    assert controller.deliver()[0].delivered == 1
    [state] = ground.rows(streams)
    assert (state["kind"], state["trouble"]) == ("directory", "")


def test_only_those_in_real_time_see_it(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ground.detection("slow")
    ready(ground, controller)
    ground.records(1)
    listen_until(controller, lambda: keys(ground) == 1)
    assert column(ground.rows(matches), "identity") == ["one"]


def test_the_sweep_finds_the_same_match_and_not_another(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    ground.records(1, 2)
    listen_until(controller, lambda: keys(ground) == 1)
    ground.now += timedelta(hours=2)
    assert controller.tick().matches == 0
    assert len(ground.rows(matches)) == 2
    assert len(ground.rows(alerts)) == 1


def test_what_the_stream_missed_is_found_by_the_sweep_and_marked(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    later = (ground.now - NOON) / timedelta(minutes=1) + 10
    controller.listen_no_more("logs")  # nobody listens while it comes
    ground.records(later)
    ground.now += timedelta(hours=2)
    assert controller.tick().matches == 1
    [match] = ground.rows(matches)
    assert match["late"]


def test_a_home_that_was_away_hears_of_what_came_meanwhile(ground: Playground) -> None:
    ground.detection("one", realtime=True)
    with ground.controller() as controller:
        ready(ground, controller)
    ground.records(1)
    with ground.controller() as controller:
        listen_until(controller, lambda: keys(ground) == 1)
    with ground.controller() as controller:  # and once is enough
        controller.streams()
        controller.listen("logs")
    assert len(ground.rows(matches)) == 1


def test_a_threshold_counts_over_what_lands_apart(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True, **THRESHOLD)
    ready(ground, controller)
    for count in (1, 2, 3):
        assert ground.rows(alerts) == []
        ground.records(count)
        listen_until(controller, lambda count=count: keys(ground) == count)
    [alert] = ground.rows(alerts)
    assert alert["match_count"] == 3


def test_a_record_that_a_rule_fails_on_is_set_aside_and_the_others_are_not(
    ground: Playground, controller: Controller
) -> None:
    ground.detection("one", "def detect(record):\n    return record['n'] > 1\n", realtime=True)
    ground.detection("two", realtime=True)
    ready(ground, controller)
    ground.records(1, n=2)
    ground.records(2, n=None)
    listen_until(controller, lambda: keys(ground) == 2)
    assert len(ground.rows(failures)) == 1
    assert sorted(row["identity"] for row in ground.rows(matches)) == ["one", "two", "two"]


def test_a_file_that_is_no_table_is_set_aside_and_holds_up_nothing(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    whole = ground.lake / "logs" / "whole.parquet"
    pq.write_table(pa.table({"ts": [NOON], "event": [{"id": "x", "action": "bad"}]}), whole)
    broken = ground.lake / "logs" / "broken.parquet"
    broken.write_bytes(whole.read_bytes()[:-20])
    listen_until(controller, lambda: keys(ground) == 1 and bool(ground.rows(spoiled)))
    [aside] = ground.rows(spoiled)
    assert "broken.parquet" in aside["key"]
    assert len(ground.rows(matches)) == 1


def test_from_schedule_to_real_time_and_back_nothing_is_lost_or_doubled(
    ground: Playground, controller: Controller
) -> None:
    def minutes() -> float:
        return (ground.now - NOON) / timedelta(minutes=1)

    ground.detection("one")
    deploy(ground, controller)
    controller.tick()
    ground.records(minutes() - 1)  # not yet read by a scheduled run
    ground.detection("one", realtime=True)
    deploy(ground, controller)
    controller.streams()
    controller.listen("logs")
    ground.now += timedelta(seconds=1)
    controller.tick()  # up to when it began to listen
    assert len(ground.rows(matches)) == 1
    ground.records(minutes())
    listen_until(controller, lambda: len(ground.rows(matches)) == 2)
    ground.detection("one")
    deploy(ground, controller)
    assert controller.streams() == []
    controller.listen_no_more("logs")
    [checkpoint] = ground.rows(checkpoints)
    assert checkpoint["streamed"] is None
    assert ground.rows(streams) == []  # what was known of the stream is of no use later
    ground.records(minutes() + 1)
    ground.now += timedelta(minutes=20)
    controller.tick()
    assert len(ground.rows(matches)) == 3
    assert not any(row["late"] for row in ground.rows(matches))


def test_a_condition_of_one_that_cannot_be_asked_holds_up_no_other(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ground.detection("two", realtime=True, query={"where": "cast(event.action as integer) = 1"})
    ready(ground, controller)
    ground.records(1)

    def listened() -> bool:
        report = controller.listen("logs")
        assert report.errors.keys() <= {"two"}
        return keys(ground) == 1

    eventually(listened)
    assert column(ground.rows(matches), "identity") == ["one"]
    assert "check [query] where" in controller.ledger.deployments()["two"].health_message


def test_what_cannot_be_run_now_is_tried_again(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    away = WorkerError("unavailable", "no engine answers")
    with monkeypatch.context() as patch:
        patch.setattr(Pool, "worker", lambda *_: raises(away))
        ground.records(1)
        with pytest.raises(TraplineError, match="one cannot be run now: no engine answers"):
            listen_until(controller, lambda: keys(ground) == 1)
        assert "no engine answers" in ground.rows(streams)[0]["trouble"] or keys(ground) == 0
    listen_until(controller, lambda: keys(ground) == 1)
    assert len(ground.rows(matches)) == 1


def test_what_trapline_itself_fails_on_is_set_aside_alone(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    looked_at = listen.look

    def look(context: Any, table: str, parcels: Any, *others: Any, **how: Any) -> None:
        if any("odd" in parcel.key for parcel in parcels):
            raise OverflowError("too odd")
        looked_at(context, table, parcels, *others, **how)

    monkeypatch.setattr(listen, "look", look)
    record = {"ts": NOON, "event": {"id": "x", "action": "bad"}}
    for name in ("even", "odd"):
        pq.write_table(pa.Table.from_pylist([record]), ground.lake / "logs" / f"{name}.parquet")
    listen_until(controller, lambda: keys(ground) == 1 and bool(ground.rows(spoiled)))
    assert ["too odd" in row["reason"] for row in ground.rows(spoiled)] == [True]
    assert len(ground.rows(matches)) == 1


def test_a_conclusion_without_a_record_counts_again_in_the_sweep_and_is_not_called_missed(
    ground: Playground, controller: Controller
) -> None:
    bad = 'any(record["event"]["action"] == "bad" for record in records)'
    code = f'def detect(records):\n    if {bad}:\n        yield {{"title": "bad"}}\n'
    ground.batch_detection("one", code, "realtime = true\n")
    ready(ground, controller)
    ground.records((ground.now - NOON) / timedelta(minutes=1) + 1)
    listen_until(controller, lambda: keys(ground) == 1)
    assert len(ground.rows(matches)) == 1
    ground.now += timedelta(hours=2)
    assert controller.tick().matches == 1
    assert [row["late"] for row in ground.rows(matches)] == [None, None]
    assert sum(row["match_count"] for row in ground.rows(alerts)) == 2


def test_throughput_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(listen, "monotonic", lambda: now)
    meter = listen.Meter()
    meter.add(1, 90, timedelta(seconds=2))
    now += 50
    meter.add(1, 30, timedelta(seconds=3))
    assert (meter.per_second, meter.lag_seconds, meter.records) == (2.0, 3.0, 120)
    now += 50
    assert meter.per_second == 0.5
    now += 50
    assert meter.per_second == 0.0


def test_what_waits_when_a_listener_ends_is_not_taken_for_done(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    controller.listen_no_more("logs")
    ground.records(1)
    landed_at = datetime.now(UTC)
    with controller.database.transaction() as connection:
        [state] = read_streams(connection)
        much_later = landed_at + timedelta(hours=1)
        keep_stream(connection, replace(state, told_at=much_later, oldest=landed_at))
    listen_until(controller, lambda: keys(ground) == 1)


def test_a_stream_to_which_nobody_listened_begins_anew(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    long_ago = ground.now - timedelta(days=1)
    with controller.database.transaction() as connection:
        [state] = read_streams(connection)
        keep_stream(connection, replace(state, told_at=long_ago))
    assert listen.begin_stream(controller.database, "logs", "directory", now=ground.now).told_at > long_ago


def raises(error: Exception) -> Any:
    raise error
