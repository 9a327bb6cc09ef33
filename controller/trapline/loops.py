"""One step, over and over: what the long-running process is made of, and how it is seen that nothing stands still."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import TypeVar

from trapline.errors import TraplineError

log = logging.getLogger("trapline")

T = TypeVar("T")
A_MINUTE = timedelta(minutes=1)


class Pulse:
    """When each loop last got on with something. Thread-safe."""

    def __init__(self) -> None:
        self._beats: dict[str, tuple[float, float]] = {}

    def beat(self, name: str, *, pause: float = 0) -> None:
        """This loop is getting on, and means to say nothing for `pause` seconds."""
        self._beats[name] = (monotonic(), pause)

    def forget(self) -> None:
        self._beats = {}

    def silent(self) -> Mapping[str, float]:
        """For how many seconds each loop has been silent beyond the pause that it announced."""
        now = monotonic()
        return {name: max(now - at - pause, 0.0) for name, (at, pause) in dict(self._beats).items()}


class Loop(threading.Thread):
    """A step with a pause after it, until told to stop; `hurry` ends the pause now."""

    def __init__(
        self,
        name: str,
        step: Callable[[], None],
        pause: Callable[[], timedelta],
        pulse: Pulse,
        *,
        pause_first: bool = False,
        jitter: float = 0.1,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._pause = pause
        self._pulse = pulse
        self._pause_first = pause_first
        self._jitter = jitter
        self._wake = threading.Event()
        self._stopping = False

    def run(self) -> None:
        if self._pause_first:
            self._wait()
        while not self._stopping:
            self._wake.clear()  # a hint that comes while the step runs is answered by the next step
            self._pulse.beat(self.name)
            try:
                guarded(self.name, self._step)
            except KeyboardInterrupt:  # a library took ^C for itself, but it is meant for the whole process
                os.kill(os.getpid(), signal.SIGINT)
            self._wait()

    def hurry(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def _wait(self) -> None:
        asked = guarded(self.name, self._pause)
        pause = (A_MINUTE if asked is None else asked).total_seconds()
        # The jitter keeps many controllers from asking one git server in the same second.
        pause *= random.uniform(1 - self._jitter, 1 + self._jitter)  # noqa: S311
        self._pulse.beat(self.name, pause=pause)
        self._wake.wait(pause)


def guarded(name: str, step: Callable[[], T]) -> T | None:
    """A loop survives its steps: what a person can act on is said in a line, anything else with its traceback."""
    try:
        return step()
    except TraplineError as error:
        log.error("%s: %s", name, error)
    except Exception:
        log.exception("%s failed and will be tried again", name)
    return None
