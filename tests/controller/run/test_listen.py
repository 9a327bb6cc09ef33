"""What lands in a table, in real time: the same alerts as a scheduled run, once, however often it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.playground import MATCH_BAD, NOON, Playground, column, deploy, eventually
from trapline.controller import Controller
from trapline.errors import TraplineError
from trapline.run import listen, listeners
from trapline.state.schema import alerts, checkpoints, failures, landed, matches, spoiled, streams
from trapline.state.streams import keep_stream, read_streams
from trapline.streams.source import SourceDown
from trapline.workers.interface import WorkerError
from trapline.workers.pool import Pool

THRESHOLD = {"alert": {"threshold": 3, "deduplication_window_minutes": 60}}
TITLED = f"{MATCH_BAD}\ndef title(record):\n    return 'bad ' + str(record.deepget('event.id'))[:0] + 'thing'\n"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """A home whose clock is the wall's: what lands has the time of its file."""
    ground = Playground(tmp_path)
    ground.now = datetime.now(UTC)
    settings(ground)
    # A file is there already, so that the table has columns.
    ground.records(0, event={"action": "good"}, n=0)
    [seed] = (ground.lake / "logs").iterdir()
    seed.rename(seed.with_name("seed.parquet"))
    return ground


def settings(ground: Playground, **more: Any) -> None:
    ground.settings(
        schedule={"start": NOON, "every": "5m", "longest_window": "400d"},
        tables={"logs": {"path": "lake/logs", "stream": {"type": "directory", "pause": 0.01}}},
        **more,
    )


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def listen_until(controller: Controller, done: Callable[[], bool]) -> None:
    """Listens for as long as it takes."""

    def listened() -> bool:
        assert controller.streams() == ["logs"]
        report = controller.listen("logs")
        assert report.errors == {}
        return done()

    eventually(listened)


def ready(ground: Playground, controller: Controller) -> None:
    """Deploys, ticks once, and begins to listen."""
    deploy(ground, controller)
    controller.streams()
    controller.tick()
    controller.streams()
    controller.listen("logs")


def keys(ground: Playground) -> int:
    """How many of the files that came are done."""
    return sum(not row["key"].startswith("seed") for row in ground.rows(landed))


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


def test_a_column_that_is_new_in_the_lake_reaches_the_rules(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one", "def detect(record):\n    return record['new'] == 1\n", realtime=True)
    ready(ground, controller)
    ground.records(1, new=1)
    monkeypatch.setattr(listeners, "COLUMNS_SECONDS", 0.0)
    controller.streams()  # looks
    listen_until(controller, lambda: keys(ground) == 1)
    ground.records(2, new=1)
    listen_until(controller, lambda: keys(ground) == 2)
    assert "one" in column(ground.rows(matches), "identity")


def test_a_table_without_columns_or_folder_is_waited_for(ground: Playground, controller: Controller) -> None:
    [seed] = (ground.lake / "logs").iterdir()
    seed.unlink()
    ground.detection("one", realtime=True)
    deploy(ground, controller)
    controller.tick()
    assert controller.streams() == ["logs"]
    with pytest.raises(SourceDown, match="no records yet"):
        controller.listen("logs")
    (ground.lake / "logs").rmdir()
    with pytest.raises(SourceDown, match="does not exist"):
        controller.listen("logs")
    (ground.lake / "logs").mkdir()
    ground.records(1)
    listen_until(controller, lambda: keys(ground) == 1)
    assert len(ground.rows(matches)) == 1


def test_a_table_that_is_gone_from_the_settings_is_said_to_be(ground: Playground, controller: Controller) -> None:
    ground.detection("one", realtime=True)
    ready(ground, controller)
    ground.settings(tables={"others": {"path": "lake/logs"}})
    ground.detection("one", realtime=True, tables=["others"])
    deploy(ground, controller)
    with pytest.raises(SourceDown, match="no table logs any more"):
        controller.listen("logs")


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
