"""Clocks are handed in; these are the real ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def uptime() -> float:
    """Seconds of a clock that nobody sets; where the system has such a one, it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """A clock that does not follow one that jumps ahead until it has stayed there for `patience`.

    Meanwhile time goes on as `elapsed`, which nobody sets, has it. A clock that jumps back is followed at once.
    Thread-safe.
    """

    def __init__(
        self,
        clock: Clock = system_clock,
        *,
        elapsed: Callable[[], float] = uptime,
        tolerance: timedelta = timedelta(minutes=1),
        patience: timedelta = timedelta(minutes=10),
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._elapsed = elapsed
        self._tolerance = tolerance
        self._patience = patience
        self._vouched = self._ahead = _Reading(clock(), elapsed())

    def __call__(self) -> datetime:
        """Now, in UTC."""
        with self._lock:
            said, at = self._clock(), self._elapsed()
            vouched = self._vouched.later(at)
            if said > vouched + self._tolerance and not self._stayed(said, at):
                return vouched
            self._vouched, self._ahead = _Reading(max(said, vouched), at), _Reading(said, at)
            return said

    def _stayed(self, said: datetime, at: float) -> bool:
        """Whether the clock has been ahead by as much for long enough."""
        if abs(said - self._ahead.later(at)) > self._tolerance:
            self._ahead = _Reading(said, at)
        return timedelta(seconds=at - self._ahead.at) >= self._patience


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a clock said at a time of the other clock."""

    said: datetime
    at: float

    def later(self, at: float) -> datetime:
        return self.said + timedelta(seconds=at - self.at)
