"""Several controllers on one home: one leads, and another takes over when it ends, dies or falls asleep."""

from __future__ import annotations

import fcntl
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.playground import NOON, Playground, column, eventually
from tests.reliability.conftest import KEYED, TRAPLINE, ending, environment, serving
from trapline.run.recorder import TickReport
from trapline.state.schema import alerts, deliveries, leases, matches, scans

LEASE_SECONDS = 10


class Controlling:
    """A controller in a process of its own, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    def says(self, words: str, *, within: float = 30) -> None:
        eventually(lambda: words in self.said, within=within, why=lambda: self.said)


Start = Callable[[], Controlling]


@pytest.fixture
def start(ground: Playground, tmp_path: Path) -> Iterator[Start]:
    """Starts one more `trapline controller` on the ground's home."""
    with ExitStack() as ends:

        def start() -> Controlling:
            log = tmp_path / f"log-{len(list(tmp_path.glob('log-*')))}"
            options = ["--home", ground.home, "--repository", ground.repository, "--sandbox", "process"]
            with log.open("wb") as file:
                command = [*TRAPLINE, "controller", *map(str, options)]
                process = subprocess.Popen(command, stdout=file, stderr=file, env=environment())
            return Controlling(ends.enter_context(ending(process)), log)

        yield start


@pytest.fixture
def pair(ground: Playground, start: Start) -> tuple[Controlling, Controlling]:
    """One that leads and has deployed, ticked and delivered, and one that stands by."""
    now = datetime.now(UTC).replace(microsecond=0)
    ground.settings(schedule={"start": now, "every": "1s", "poll": "1s"})
    ground.detection("one", KEYED)
    ground.commit()
    leader = start()
    leader.says("deployed one")
    other = start()
    other.says("leads this home; standing by")
    arrive(ground, "first")
    eventually(lambda: delivered(ground) == ["first"])
    assert len(other.said.splitlines()) == 1  # and that is all it does
    return leader, other


def arrive(ground: Playground, *keys: str) -> None:
    """Records with these keys come in, in time for the window that they belong to."""
    soon = datetime.now(UTC) + timedelta(seconds=1)
    for key in keys:
        ground.records((soon - NOON).total_seconds() / 60, key=key)


def delivered(ground: Playground) -> list[str]:
    """The keys of the alerts that were delivered, in order."""
    done = [row["alert_id"] for row in ground.rows(deliveries) if row["state"] == "delivered"]
    keys = {row["id"]: row["dedupe"] for row in ground.rows(alerts)}
    return sorted(keys[alert] for alert in done)


def prove_nothing_was_done_twice(ground: Playground) -> None:
    assert set(column(ground.rows(deliveries), "attempts")) == {1}
    assert set(column(ground.rows(alerts), "match_count")) == {1}
    assert len(ground.rows(matches)) == len(ground.rows(alerts)) == len(ground.rows(deliveries))
    seen = [row for row in ground.rows(scans, "window_start") if "one" in row["detections"]]
    assert all(before["window_end"] == after["window_start"] for before, after in pairwise(seen))


def leads(ground: Playground) -> int:
    """The process that leads; 0 while nobody does."""
    [*holders] = column(ground.rows(leases), "holder")
    return int(holders[0].split(":")[1]) if holders else 0


def deploy(ground: Playground, name: str) -> None:
    ground.detection(name, "def detect(record):\n    return False\n")
    ground.commit()


def test_the_other_takes_over_when_the_leader_is_killed(
    ground: Playground, pair: tuple[Controlling, Controlling]
) -> None:
    leader, other = pair
    assert leads(ground) == leader.process.pid
    leader.process.kill()
    killed = time.monotonic()
    deploy(ground, "two")
    arrive(ground, "second", "third")
    other.says("deployed two", within=20)
    assert time.monotonic() - killed < 20
    assert leads(ground) == other.process.pid
    eventually(lambda: delivered(ground) == ["first", "second", "third"])
    prove_nothing_was_done_twice(ground)
    assert "Traceback" not in leader.said + other.said


def test_a_leader_that_is_told_to_stop_hands_over_at_once(
    ground: Playground, pair: tuple[Controlling, Controlling]
) -> None:
    leader, other = pair
    leader.process.terminate()
    eventually(lambda: leads(ground) == other.process.pid, within=3)
    assert leader.process.wait(10) == 0
    deploy(ground, "two")
    arrive(ground, "second")
    other.says("deployed two")
    eventually(lambda: delivered(ground) == ["first", "second"])
    prove_nothing_was_done_twice(ground)
    assert "Traceback" not in leader.said + other.said


def test_a_leader_that_slept_longer_than_its_lease_changes_nothing(
    ground: Playground, pair: tuple[Controlling, Controlling]
) -> None:
    leader, other = pair
    stop_between_steps(ground, leader)
    deploy(ground, "two")
    other.says("deployed two", within=LEASE_SECONDS + 20)
    said = leader.said
    later = [f"later {number}" for number in range(5)]
    arrive(ground, *later)  # whoever ticks next takes them
    leader.process.send_signal(signal.SIGCONT)
    leader.says("another controller leads this home now; standing by")
    deploy(ground, "three")
    other.says("deployed three")
    eventually(lambda: delivered(ground) == ["first", *later])
    prove_nothing_was_done_twice(ground)
    assert leader.process.poll() is None
    assert leads(ground) == other.process.pid
    assert [line for line in leader.said.removeprefix(said).splitlines() if "standing by" not in line] == []


def test_no_step_is_begun_once_the_lease_has_passed(ground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread of a leader that slept wakes first."""
    ground.settings(schedule={"start": NOON, "every": "1s", "poll": "1s"})
    ground.commit()
    controller, begun = ground.controller(), list[datetime]()

    def tick(**_: Any) -> TickReport:
        begun.append(ground.now)
        return TickReport()

    monkeypatch.setattr(controller, "tick", tick)
    with serving(controller, now=lambda: ground.now):
        eventually(lambda: controller.settings() and len(begun) > 2)
        with closing(sqlite3.connect(ground.home / "trapline.db", isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")  # so that it cannot be renewed
            ground.at(1)
            time.sleep(2.5)
            assert NOON + timedelta(minutes=1) not in begun
            another.execute("ROLLBACK")
        eventually(lambda: NOON + timedelta(minutes=1) in begun)


def stop_between_steps(ground: Playground, running: Controlling) -> None:
    """Stops a process, and not while it holds a lock: nobody can go on with what it has in its hands."""
    while True:
        running.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)  # a signal takes its time
        if not holds_a_lock(ground.home):
            return
        running.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)


def holds_a_lock(home: Path) -> bool:
    try:
        for path in home.glob("*.lock"):
            with path.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with closing(sqlite3.connect(home / "trapline.db", timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except (BlockingIOError, sqlite3.OperationalError):
        return True
    return False
