"""Forks work off a process that has imported everything, and kills it with SIGKILL where it is told to.

A driver serves orders that stand one a line, as JSON, on its standard input, and answers each with a line of what
became of it:

    {"after": 0.3}                         killed after so many seconds
    {"after": 0.3, "family": true}         ... together with everything that it had started
    {"at": "promote", "nth": 2}            killed the second time that it gets there, exactly
    {}                                     left to finish
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Steps = Mapping[str, tuple[tuple[type, str], ...]]
"""What work is made of, as methods. Each is a place to be killed at, and so is its end: `fetch` and `after fetch`."""


@dataclass(frozen=True)
class Order:
    """Where an attempt is killed, if at all. `ahead` is by how much its clock is put forward, for work that has one."""

    after: float | None = None
    family: bool = False
    at: str = ""
    nth: int = 1
    ahead: float = 0.0


@dataclass(frozen=True)
class Answer:
    """`step` is the last one that was begun or ended; `error`, what an attempt that was not killed failed with."""

    killed: bool
    step: str
    seconds: float
    error: str = ""


class Board:
    """A page of memory that the attempt writes to and that outlives it."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 64 * 1024)

    def write(self, text: str) -> None:
        self._page[:] = text.encode("utf-8", "replace")[: len(self._page)].ljust(len(self._page), b"\0")

    def read(self) -> str:
        return self._page[:].rstrip(b"\0").decode("utf-8", "replace")


def serve(steps: Steps, work: Callable[[Order], object]) -> None:
    """Attempts the work for every order that comes."""
    assert threading.active_count() == 1, "a fork keeps one thread only"
    for line in sys.stdin:
        print(json.dumps(asdict(_run(steps, work, Order(**json.loads(line))))), flush=True)


def _run(steps: Steps, work: Callable[[Order], object], order: Order) -> Answer:
    step, error, started = Board(), Board(), time.monotonic()
    if not (child := os.fork()):
        try:
            os.setsid()
            _attempt(steps, work, order, step, error)
        finally:
            os._exit(0)
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if order.after is not None and time.monotonic() > started + order.after:
            for pid in family(child) if order.family else [child]:
                send(pid, signal.SIGKILL)
            done = os.waitpid(child, 0)
            break
        time.sleep(0.001)
    return Answer(os.WIFSIGNALED(done[1]), step.read(), time.monotonic() - started, error.read())


def _attempt(steps: Steps, work: Callable[[Order], object], order: Order, step: Board, error: Board) -> None:
    """The work once, in a process of its own, that ends itself where the order says so."""
    left, lock = order.nth, threading.Lock()

    def mark(name: str) -> None:
        nonlocal left
        if not name.endswith("transaction"):  # which are everywhere, and tell of no step
            step.write(name)
        with lock:
            left -= name == order.at
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    _watch(steps, mark)
    try:
        work(order)
    except BaseException as failure:
        error.write(repr(failure))
        raise


def _watch(steps: Steps, mark: Callable[[str], None]) -> None:
    """Has every step of this process say when it begins and ends."""

    def watched(original: Callable[..., Any], step: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            mark(step)
            result = original(*args, **kwargs)
            mark(f"after {step}")
            return result

        return call

    for step, places in steps.items():
        for owner, name in places:
            setattr(owner, name, watched(getattr(owner, name), step))


def family(pid: int) -> list[int]:
    """A process and all that it started, each stopped first, so that it starts nothing more."""
    send(pid, signal.SIGSTOP)
    return [pid, *(member for child in children(pid) for member in family(child))]


def children(pid: int) -> list[int]:
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found += map(int, file.read_text().split())
    return found


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
