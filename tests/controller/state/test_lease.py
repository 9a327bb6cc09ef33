"""Leases: one holder at a time, whoever dies when."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from trapline.state.database import Database
from trapline.state.lease import Holder, Lease

TTL = timedelta(seconds=10)
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "b", "c")


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_home(tmp_path)
    yield database
    database.close()


def lease(database: Database, holder: str, now: Clock, name: str = "controller") -> Lease:
    return Lease(database, name, holder=holder, ttl=TTL, now=now)


def test_the_first_one_holds_it_until_it_expires(database: Database, clock: Clock) -> None:
    first, second = lease(database, "a", clock), lease(database, "b", clock)
    assert first.holder() is None
    assert (first.acquire(), second.acquire()) == (True, False)
    assert second.holder() == Holder("a", START + TTL, alive=True)
    clock.time += TTL - timedelta(microseconds=1)
    assert not second.acquire()
    clock.time += timedelta(microseconds=1)
    assert second.holder() == Holder("a", START + TTL, alive=False)
    assert (second.acquire(), first.acquire()) == (True, False)
    assert first.holder() == Holder("b", clock.time + TTL, alive=True)


def test_renewing_keeps_it(database: Database, clock: Clock) -> None:
    first, second = lease(database, "a", clock), lease(database, "b", clock)
    for _ in range(5):
        assert (first.acquire(), second.acquire()) == (True, False)
        clock.time += TTL * 0.9


def test_giving_it_back_frees_it_at_once_and_only_ones_own(database: Database, clock: Clock) -> None:
    first, second = lease(database, "a", clock), lease(database, "b", clock)
    first.acquire()
    second.release()
    assert not second.acquire()
    first.release()
    assert first.holder() is None
    assert second.acquire()


def test_leases_of_other_names_are_others(database: Database, clock: Clock) -> None:
    assert lease(database, "a", clock).acquire()
    assert lease(database, "b", clock, name="other").acquire()


def test_a_lease_that_expired_while_it_was_written_is_not_held(database: Database) -> None:
    times = iter([START, START + TTL])
    assert not Lease(database, "controller", holder="a", ttl=TTL, now=lambda: next(times)).acquire()


class Holders(RuleBasedStateMachine):
    """Any order of acquiring, giving back, dying and time passing, against what a person would keep on paper."""

    def __init__(self, database: Database, name: str) -> None:
        super().__init__()
        self.clock = Clock()
        self.leases = {holder: lease(database, holder, self.clock, name) for holder in NAMES}
        self.believes: dict[str, datetime] = {}  # who thinks that they hold it, and until when

    @rule(name=st.sampled_from(NAMES))
    def acquire(self, name: str) -> None:
        free = not any(other != name and self.clock.time < until for other, until in self.believes.items())
        assert self.leases[name].acquire() == free
        if free:
            self.believes = {name: self.clock.time + TTL}

    @precondition(lambda self: self.believes)
    @rule(name=st.sampled_from(NAMES))
    def release(self, name: str) -> None:
        self.leases[name].release()
        self.believes.pop(name, None)

    @rule(seconds=st.sampled_from([0.001, 1, 9.999, 10, 11]))
    def wait(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)

    @invariant()
    def the_database_says_the_same(self) -> None:
        now = self.clock.time
        held = {name for name, until in self.believes.items() if now < until}
        assert len(held) <= 1
        said = self.leases["a"].holder()
        assert ({said.holder} if said and said.alive else set()) == held


def test_there_are_never_two_holders() -> None:
    database, numbers = Database("sqlite://"), count()
    run_state_machine_as_test(
        lambda: Holders(database, f"lease {next(numbers)}"), settings=settings(max_examples=40, deadline=None)
    )
    database.close()


CRITICAL = """
import sys, os, time
from datetime import timedelta
from pathlib import Path
from trapline.clock import system_clock
from trapline.state.database import Database
from trapline.state.lease import Lease

home, holder, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lease = Lease(Database.in_home(home), "x", holder=holder, ttl=timedelta(seconds=float(sys.argv[4])), now=system_clock)
print("ready", flush=True)
while rounds:
    if not lease.acquire():
        time.sleep(0.001)
        continue
    (home / "inside").mkdir()  # fails where somebody else is inside, too
    if sys.argv[5] == "stay":
        print("inside", flush=True)
        time.sleep(60)
    (home / "inside").rmdir()
    lease.release()
    rounds -= 1
"""


def contender(home: Path, name: str, *, rounds: int = 1, ttl: float = 30, then: str = "leave") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CRITICAL, str(home), name, str(rounds), str(ttl), then]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_race_are_never_in_at_once(tmp_path: Path) -> None:
    contenders = [contender(tmp_path, name, rounds=25) for name in NAMES]
    for process in contenders:
        with process:
            assert process.wait(30) == 0


def test_another_process_takes_over_from_one_that_was_killed(tmp_path: Path) -> None:
    with contender(tmp_path, "a", ttl=1, then="stay") as first:
        assert first.stdout is not None
        assert [first.stdout.readline(), first.stdout.readline()] == ["ready\n", "inside\n"]
        first.send_signal(signal.SIGKILL)
    (tmp_path / "inside").rmdir()
    began = monotonic()
    with contender(tmp_path, "b", ttl=1) as second:
        assert second.wait(10) == 0
    assert monotonic() - began < 5
