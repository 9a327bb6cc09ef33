"""What the tests of reliability share: a trapline to break, and processes of ours that do not outlive a test."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.playground import Playground
from tests.reliability.forks import Answer
from trapline.clock import Clock, system_clock
from trapline.controller import Controller
from trapline.deploy.reconcile import Report
from trapline.errors import TraplineError
from trapline.service import Service

SEED = "TRAPLINE_TEST_SEED"
KEYED = 'def detect(record):\n    return True\ndef dedupe(record):\n    return record["key"]\n'
TRAPLINE = (sys.executable, "-m", "trapline")

Drive = Callable[..., Answer]
_ROOT = Path(__file__).parents[2]


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)


@pytest.fixture
def chance() -> random.Random:
    """Random choices that can be made again: a failing test shows the seed, and $TRAPLINE_TEST_SEED gives it."""
    seed = os.environ.get(SEED) or str(random.SystemRandom().randrange(10**9))
    print(f"{SEED}={seed}")
    return random.Random(seed)


@pytest.fixture
def driving() -> Iterator[Callable[..., Drive]]:
    """Starts a driver by its module's name, with its arguments and environment, and gives what passes it one order."""
    with ExitStack() as ends:

        def start(module: str, *arguments: object, **env: str) -> Drive:
            driver = subprocess.Popen(
                [sys.executable, "-m", f"tests.reliability.{module}", *map(str, arguments)],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment(**env),
            )
            ends.enter_context(ending(driver))
            assert driver.stdin and driver.stdout
            orders, answers = driver.stdin, driver.stdout

            def drive(**order: Any) -> Answer:
                print(json.dumps(order), file=orders, flush=True)
                return Answer(**json.loads(answers.readline()))

            return drive

        yield start


def said(reconcile: Callable[[], Report]) -> list[str]:
    """What a reconcile says that somebody must know: its error, or why detections are not as git has them."""
    try:
        report = reconcile()
    except TraplineError as error:
        assert error.remedy
        return [str(error)]
    wrong = [outcome for outcome in report.outcomes if outcome.action in ("waiting", "stalled")]
    assert {outcome.action for outcome in wrong} <= {"waiting"}, "nobody who writes detections is at fault"
    return [str(problem) for problem in report.problems] + [outcome.message for outcome in wrong]


def environment(**more: str) -> dict[str, str]:
    """The environment without this machine's TRAPLINE_* settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRAPLINE_")} | more


@contextmanager
def serving(controller: Controller, *, now: Clock = system_clock) -> Iterator[None]:
    """The long-running process, in a thread; whatever ends it early is an error here."""
    stop = threading.Event()
    with controller, ThreadPoolExecutor(1) as thread:
        running = thread.submit(Service(controller, now=now).run, stop)
        try:
            yield
            assert not running.done()
        finally:
            stop.set()
            running.result(timeout=60)


@contextmanager
def ending(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """A process that ends with the block, whatever state it is in."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def require(possible: bool, why: str) -> None:
    """Skips a test where it is not possible, which the full run must not."""
    if not possible and os.environ.get("TRAPLINE_REQUIRE_DOCKER") == "1":
        pytest.fail(f"TRAPLINE_REQUIRE_DOCKER=1, but {why}", pytrace=False)
    if not possible:
        pytest.skip(why)
