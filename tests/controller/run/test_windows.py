"""What the windows of a trapline do on a simulated clock, case by case; test_windows_model.py mixes them all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.controller.run.simulated import NOON, Record, SimulatedTrapline
from tests.playground import Playground, deploy
from trapline.alerts.failures import Failures
from trapline.detection.model import Mode
from trapline.state.checkpoints import mark_streamed
from trapline.state.schema import failures


@pytest.fixture
def trapline(tmp_path: Path) -> Iterator[SimulatedTrapline]:
    trapline = SimulatedTrapline(tmp_path)
    yield trapline
    trapline.database.close()


def at(trapline: SimulatedTrapline, *times: float) -> None:
    """Ticks at each of these minutes."""
    for time in times:
        trapline.time = time
        trapline.tick(by_schedule=True)


def test_a_record_that_is_late_within_the_overlap_is_found_and_the_others_not_twice(
    trapline: SimulatedTrapline,
) -> None:
    trapline.configure(lag=2, overlap=10)
    trapline.deploy("one", start=NOON)
    trapline.arrive(Record(1, 1, "a"), Record(1, 11, "late"), Record(1, 30, "too late"))
    at(trapline, 5, 10)
    assert trapline.matched("one") == [(1, "a", "")]
    at(trapline, 15, 20, 30)
    assert sorted(trapline.matched("one")) == [(1, "a", ""), (1, "late", "")]


@pytest.mark.parametrize("every", [60, 5 * 60], ids=["the stream is away", "so is the controller"])
def test_sweeps_find_what_a_stream_misses_however_long_it_is_away(trapline: SimulatedTrapline, every: float) -> None:
    trapline.configure()
    trapline.deploy("one", start=NOON)
    at(trapline, 5)
    mark_streamed(trapline.database, {("one", "logs"): trapline.wall()})
    day = 24 * 60
    missed = [Record(at, at + late, f"{at} {late}") for at in range(6, day, 17) for late in (0, 1, 59)]
    trapline.arrive(*missed, Record(10, 10 + 8 * 60, "later than the lookback, and the lake is all that has it"))
    at(trapline, *(minute for minute in range(60, day + 3 * 60, int(every))))
    assert sorted(trapline.matched("one")) == sorted(one.key for one in missed)


def test_an_equal_record_that_comes_late_is_one_more(trapline: SimulatedTrapline) -> None:
    trapline.configure(overlap=10)
    trapline.deploy("one", start=NOON)
    trapline.arrive(*[Record(1, 1, None)] * 3, Record(1, 7, None))
    at(trapline, 5)
    assert len(trapline.matched("one")) == 3
    at(trapline, 10, 15)
    assert len(trapline.matched("one")) == 4


def test_failures_that_an_overlap_brings_again_cost_nothing_again(trapline: SimulatedTrapline) -> None:
    trapline.configure(overlap=60, failures=3)
    trapline.deploy("one", start=NOON)
    trapline.arrive(*(Record(1, 1, str(number), bad=True) for number in range(3)))
    at(trapline, 5, 10, 15)
    trapline.arrive(Record(16, 16, "good"))
    at(trapline, 20)
    assert trapline.matched("one") == [(16, "good", "")]
    assert len(Failures(trapline.database).newest("one")) == 3
    trapline.arrive(Record(21, 21, "more", bad=True))
    trapline.time = 25
    assert "costs 4 of an error budget of 3" in trapline.tick(by_schedule=True).quarantined["one"]


def test_a_worker_does_not_give_up_over_failures_that_an_overlap_brings_again(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.settings(tables={"logs": {"path": "lake/logs", "overlap": "3h"}}, error_budget={"failures": 2})
    ground.detection("one", "def detect(record):\n    return record['event']['size'] > 10\n")
    with ground.controller() as controller:
        deploy(ground, controller)
        for hour in (0, 61):
            ground.records(hour + 1, hour + 2, event={"size": None})
            ground.at(hour + 5)
            assert controller.tick().errors == {}
    assert len(ground.rows(failures)) == 4


def test_a_quarantined_detection_that_comes_back_pays_for_what_it_was_set_apart_for(
    trapline: SimulatedTrapline,
) -> None:
    trapline.configure(overlap=60, failures=3)
    trapline.deploy("one", start=NOON)
    trapline.arrive(*(Record(1, 1, str(number), bad=True) for number in range(4)))
    at(trapline, 5)
    assert not trapline.ledger.running()
    trapline.resume("one")
    at(trapline, 10)
    assert not trapline.ledger.running()
    assert trapline.position("one") == 0


def test_who_is_behind_catches_up_beside_the_others_and_then_shares_their_windows(
    trapline: SimulatedTrapline,
) -> None:
    trapline.deploy("behind", start=NOON)
    trapline.deploy("other", start=NOON)
    trapline.arrive(Record(30, 30, "a"))
    trapline.pool.broken = {"behind"}
    at(trapline, *range(35, 301, 5))
    assert (trapline.position("behind"), trapline.position("other")) == (0, 300)
    trapline.pool.broken = set()
    asked = len(trapline.lake.asked)
    at(trapline, 305)
    shown = [window.end - window.start for window in (request.window for request in trapline.lake.asked[asked:])]
    assert shown == [timedelta(minutes=5), *[timedelta(hours=1)] * 5, timedelta(minutes=5)]
    asked = len(trapline.lake.asked)
    at(trapline, 310)
    assert len(trapline.lake.asked) == asked + 1
    assert trapline.matched("behind") == [(30, "a", "")]


def test_a_tick_that_takes_long_lets_those_that_are_due_again_come_first(trapline: SimulatedTrapline) -> None:
    trapline.deploy("behind", start=NOON)
    trapline.time = 300
    trapline.lake.takes = 2
    trapline.tick(by_schedule=True)
    assert trapline.time == 306  # it ended when another run was due
    assert trapline.position("behind") == 180


def test_who_failed_is_not_tried_again_each_time_that_another_is_due(trapline: SimulatedTrapline) -> None:
    trapline.deploy("failing", start=NOON)
    trapline.deploy("often", start=NOON, every="1s")
    trapline.pool.broken = {"failing"}
    trapline.arrive(Record(1, 1, "a"))
    at(trapline, 5)
    asked = len(trapline.lake.asked)
    at(trapline, 5.1, 5.2, 5.3)
    assert len(trapline.lake.asked) == asked + 3  # for the other one
    assert "no worker" in trapline.ledger.deployments()["failing"].health_message
    trapline.pool.broken = set()
    at(trapline, 10)
    assert trapline.matched("failing") == [(1, "a", "")]
    assert trapline.ledger.deployments()["failing"].health_message == ""


def test_another_version_of_who_failed_is_tried_at_once(trapline: SimulatedTrapline) -> None:
    trapline.deploy("one", start=NOON)
    trapline.pool.broken = {"one"}
    trapline.arrive(Record(1, 1, "a"))
    at(trapline, 5)
    trapline.pool.broken = set()
    at(trapline, 6)
    assert trapline.matched("one") == []
    trapline.deploy("one", start=NOON, code="mended")
    at(trapline, 7)
    assert trapline.matched("one") == [(1, "a", "")]


def test_a_batch_rule_sees_each_record_in_one_window_whatever_the_overlap(trapline: SimulatedTrapline) -> None:
    trapline.configure(overlap=30)
    trapline.deploy("batch", mode=Mode.BATCH, every="15m", start=NOON)
    trapline.arrive(*(Record(minute, minute, str(minute)) for minute in range(0, 90, 7)))
    at(trapline, 16, 40, 90)
    windows = trapline.windows("batch")
    assert [(start, end) for start, end, _ in windows] == [(n, n + 15) for n in range(0, 90, 15)]
    assert all(before[1] == after[0] for before, after in pairwise(windows))
    assert [key[1] for _, _, seen in windows for key in seen] == [str(minute) for minute in range(0, 90, 7)]


def test_a_process_that_ends_at_any_boundary_of_its_transactions_loses_and_doubles_nothing(
    trapline: SimulatedTrapline,
) -> None:
    trapline.configure(overlap=10)
    trapline.deploy("one", start=NOON)
    trapline.deploy("batch", mode=Mode.BATCH, start=NOON)
    times = [5.0 * number for number in range(1, 26)]
    trapline.arrive(*(Record(time - 2, time - 2, str(time)) for time in times))
    for boundary, time in enumerate(times):
        trapline.time = time
        trapline.tick_and_crash(boundary)
    at(trapline, 130)
    assert sorted(trapline.matched("one")) == [(time - 2, str(time), "") for time in times]
    seen = [key for _, _, keys in trapline.windows("batch") for key in keys]
    assert seen == [(time - 2, str(time), "") for time in times]


def test_another_lag_or_overlap_leaves_no_gap(trapline: SimulatedTrapline) -> None:
    trapline.configure(lag=2)
    trapline.deploy("one", start=NOON)
    trapline.arrive(*(Record(minute, minute + 1.5, str(minute)) for minute in range(60)))
    at(trapline, 5, 10)
    trapline.configure(lag=20, overlap=5)
    at(trapline, 15, 20, 25)
    trapline.configure(lag=3)
    at(trapline, 30, 65)
    assert len(trapline.matched("one")) == 60


def test_what_is_retired_and_comes_back_begins_anew(trapline: SimulatedTrapline) -> None:
    trapline.deploy("one")
    at(trapline, 5)
    trapline.retire("one")
    at(trapline, 10)
    assert trapline.checkpoints() == {}
    trapline.arrive(Record(30, 30, "between"), Record(58, 58, "just now"))
    trapline.time = 60
    trapline.deploy("one")
    at(trapline, 60)
    assert trapline.matched("one") == [(58, "just now", "")]


def test_what_is_suspended_and_resumed_catches_up(trapline: SimulatedTrapline) -> None:
    trapline.deploy("one", start=NOON)
    at(trapline, 5)
    trapline.suspend("one")
    trapline.arrive(Record(30, 30, "between"))
    at(trapline, 60)
    assert trapline.matched("one") == []
    trapline.resume("one")
    at(trapline, 65)
    assert trapline.matched("one") == [(30, "between", "")]


def test_another_start_is_begun_at_and_finds_nothing_twice(trapline: SimulatedTrapline) -> None:
    trapline.arrive(Record(-30, -30, "before"), Record(1, 1, "after"))
    trapline.deploy("one", start=NOON)
    at(trapline, 5)
    assert trapline.matched("one") == [(1, "after", "")]
    trapline.deploy("one", start=NOON - timedelta(hours=1))
    at(trapline, 6, 10)
    assert sorted(trapline.matched("one")) == [(-30, "before", ""), (1, "after", "")]
    assert trapline.position("one") == 10


def test_a_clock_that_jumps_back_is_waited_for_and_said(trapline: SimulatedTrapline) -> None:
    trapline.deploy("one", start=NOON)
    at(trapline, 60)
    trapline.offset = -30
    trapline.arrive(Record(61, 61, "meanwhile"))
    asked = len(trapline.lake.asked)
    trapline.time = 65
    report = trapline.tick(by_schedule=True)
    assert len(trapline.lake.asked) == asked
    assert "it was read up to 2026-01-01 13:00:00, and the clock says 2026-01-01 12:35:00" in report.errors["one"]
    assert "Set the clock right" in trapline.ledger.deployments()["one"].health_message
    at(trapline, 96)
    assert trapline.matched("one") == [(61, "meanwhile", "")]
    assert trapline.ledger.deployments()["one"].health_message == ""


def test_a_clock_that_jumps_ahead_for_some_minutes_costs_no_record(trapline: SimulatedTrapline) -> None:
    trapline.deploy("one", start=NOON)
    at(trapline, 5)
    trapline.offset = 525_600
    at(trapline, 6, 10)
    assert trapline.position("one") == 10
    trapline.arrive(Record(11, 12, "meanwhile"))
    trapline.offset = 0
    at(trapline, 15)
    assert trapline.matched("one") == [(11, "meanwhile", "")]


def test_after_a_clock_that_was_wrong_for_long_another_start_mends_it(trapline: SimulatedTrapline) -> None:
    trapline.configure(longest_window="400d")
    trapline.deploy("one", start=NOON)
    trapline.offset = 525_600
    at(trapline, 5, 10, 15)
    trapline.arrive(Record(16, 16, "meanwhile"))
    trapline.offset = 0
    trapline.time = 20
    assert "schedule.start" in trapline.tick(by_schedule=True).errors["one"]
    trapline.deploy("one", start=NOON + timedelta(minutes=1))
    at(trapline, 25)
    assert trapline.matched("one") == [(16, "meanwhile", "")]
