"""The contract of windows, held against whatever may happen: late records, crashes, failing queries, clocks that jump.

Whatever the order of events, in the end every detection has seen every record exactly once that came into the lake in
time. docs/explanation/windows.md says what that is.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.controller.run.simulated import Record, SimulatedTrapline, minutes
from trapline.detection.model import Mode

SCHEDULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "quarterly": {"every": "15m"},
    "hourly": {"cron": "10 * * * *"},
    "batch": {},
    "batch_quarterly": {"every": "15m"},
}
NAMES = sorted(SCHEDULES)
BY_RECORD = [name for name in NAMES if not name.startswith("batch")]
LAGS = [[0.0], [5.0], [0.0, 20.0], [5.0, 20.0]]
OVERLAPS = [[0.0], [40.0], [0.0, 10.0], [10.0, 40.0]]
EXAMPLES = int(os.environ.get("TRAPLINE_EXAMPLES", "10"))


class Windows(RuleBasedStateMachine):
    """What may happen to a trapline."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.trapline = SimulatedTrapline(Path(self._folder.name))
        self.live: set[str] = set()
        self.suspended: set[str] = set()
        self.ended: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}

    def teardown(self) -> None:
        try:
            self.settle()
            self.all_that_came_in_time_was_seen()
        finally:
            self.trapline.database.close()
            self._folder.cleanup()

    @initialize(lags=st.sampled_from(LAGS), overlaps=st.sampled_from(OVERLAPS))
    def begin(self, lags: list[float], overlaps: list[float]) -> None:
        self.lags, self.overlaps = lags, overlaps
        self.configure(number=0)
        for name in NAMES:
            self.deploy(name, "")
        self.trapline.arrive(*(Record(-ago, 3, f"{ago} before") for ago in (1, 8, 28)))
        self.trapline.tick()

    @rule(number=st.integers(0, 3))
    def configure(self, number: int) -> None:
        lag, overlap = self.lags[number % len(self.lags)], self.overlaps[number // 2 % len(self.overlaps)]
        self.trapline.configure(lag=lag, overlap=overlap)

    @rule(by=st.integers(60, 200).map(float))
    def nothing_runs_for_long(self, by: float) -> None:
        self.trapline.time += by

    @rule(
        late=st.lists(st.sampled_from([0.0, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0]), min_size=1, max_size=5),
        after=st.sampled_from([0.0, 0.0, 3.0, 20.0]),
        id=st.booleans(),
    )
    def records_arrive(self, late: list[float], after: float, id: bool) -> None:
        """Without an id they may be equal to others in everything."""
        at = self.trapline.time + after
        for each in late:
            known = str(len(self.trapline.lake.records)) if id else None
            self.trapline.arrive(Record(at - each, at, known))

    @rule(by=st.integers(0, 15).map(float), by_schedule=st.booleans())
    def tick(self, by: float, by_schedule: bool) -> None:
        self.trapline.time += by
        self.trapline.tick(by_schedule=by_schedule)

    @rule(by=st.integers(0, 15).map(float), boundary=st.integers(0, 40))
    def a_tick_ends_midway(self, by: float, boundary: int) -> None:
        self.trapline.time += by
        self.trapline.tick_and_crash(boundary)

    @rule()
    def a_tick_whose_queries_fail(self) -> None:
        self.trapline.time += 5
        self.trapline.lake.broken = True
        self.trapline.tick(by_schedule=True)
        self.trapline.lake.broken = False

    @rule(name=st.sampled_from(NAMES))
    def a_tick_without_workers_for(self, name: str) -> None:
        self.trapline.time += 5
        self.trapline.pool.broken = {name}
        self.trapline.tick(by_schedule=True)
        self.trapline.pool.broken = set()

    @rule(name=st.sampled_from(NAMES), code=st.sampled_from("xyz"))
    def deploy(self, name: str, code: str) -> None:
        mode = Mode.BATCH if name.startswith("batch") else Mode.RECORD
        self.trapline.deploy(name, mode=mode, code=code, **SCHEDULES[name])
        self.live.add(name)

    @precondition(lambda self: self.live & {*BY_RECORD})
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        """What was asked of it up to its checkpoint stays true; from then on nothing is."""
        name = data.draw(st.sampled_from(sorted(self.live & {*BY_RECORD})))
        if known := self.trapline.checkpoints().get(name):
            start = known.start or known.position
            self.ended[name].append((minutes(start), minutes(known.position)))
        self.trapline.retire(name)
        self.live.discard(name)
        self.suspended.discard(name)

    @rule(name=st.sampled_from(NAMES))
    def suspend_or_resume(self, name: str) -> None:
        if name in self.suspended:
            self.trapline.resume(name)
            self.suspended.remove(name)
        elif name in self.live:
            self.trapline.suspend(name)
            self.suspended.add(name)

    @rule(by=st.sampled_from([2.0, 90.0, 3_000.0]), during=st.integers(1, 9).map(float))
    def the_clock_jumps_ahead_for_some_minutes(self, by: float, during: float) -> None:
        self.put_right()
        self.trapline.tick(by_schedule=True)
        self.trapline.offset = by
        self.trapline.tick(by_schedule=True)
        self.trapline.time += during
        self.trapline.tick(by_schedule=True)
        self.put_right()

    @rule(by=st.sampled_from([0.5, 7.0, 150.0]))
    def the_clock_jumps_back(self, by: float) -> None:
        self.trapline.offset = -by

    @rule()
    def put_right(self) -> None:
        self.trapline.offset = 0.0

    def nothing_is_seen_twice(self) -> None:
        there = Counter(one.key for one in self.trapline.lake.records)
        for name in NAMES:
            assert self.seen(name) <= there, f"{name} saw what there is not, or twice"

    def settle(self) -> None:
        """Everything works again, and time passes until all that is known must have been seen."""
        self.put_right()
        for name in sorted(self.suspended):
            self.trapline.resume(name)
        for by in (11, 80):
            self.trapline.time += by
            self.trapline.tick(by_schedule=True)

    def all_that_came_in_time_was_seen(self) -> None:
        self.nothing_is_seen_twice()
        checkpoints = self.trapline.checkpoints()
        for name in NAMES:
            spans = list(self.ended[name])
            if name in self.live:
                start = checkpoints[name].start
                assert start is not None
                spans.append((minutes(start), self.trapline.position(name)))
                assert self.trapline.position(name) >= self.trapline.time - 60 - max(self.lags)
            assert all(any(span[0] <= key[0] for span in spans) for key in self.seen(name)), (
                f"{name} saw what was before"
            )
            in_time = Counter(one.key for one in self.trapline.lake.records if self.due(name, one, spans))
            assert in_time <= self.seen(name), f"{name} missed what came in time"
        for name in {*NAMES} - {*BY_RECORD}:
            windows = self.trapline.windows(name)
            assert all(before[1] <= after[0] for before, after in pairwise(windows)), f"windows of {name} overlap"

    def due(self, name: str, record: Record, spans: list[tuple[float, float]]) -> bool:
        """Whether it must have been seen. A version that ended was not owed what came later than the lag."""
        inside = [span for span in spans if span[0] <= record.at < span[1]]
        goes_on = name in self.live and spans[-1] in inside
        overlap = min(self.overlaps) if name in BY_RECORD and goes_on else 0.0
        return bool(inside) and record.lateness <= min(self.lags) + overlap

    def seen(self, name: str) -> Counter[tuple[float, str | None, str]]:
        if name in BY_RECORD:
            return Counter(self.trapline.matched(name))
        return Counter(key for _, _, keys in self.trapline.windows(name) for key in keys)


Windows.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWindows = Windows.TestCase
