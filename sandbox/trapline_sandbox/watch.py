"""The clock over a rule: a record that takes too long is interrupted, and what cannot be interrupted ends the worker.

An alarm looks from time to time which record the rule is at. Where that is still the same one after its time is up, an
exception is raised in the middle of whatever runs, a regular expression included. Code in C that never looks up, and
code that swallows the exception, is ended together with the process by a thread that needs no interpreter lock; its
last words on standard error say where the rule was. Nothing is done for each record, so watching costs nothing.
"""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

GRACE_SECONDS = 1.0
"""How much longer than its limit a record may go on that will not be interrupted."""


class RecordTimeout(BaseException):
    """This record took too long. No `except Exception` of a rule should keep it."""


class Watch:
    """Watches over one batch at a time. `record_seconds` and `batch_seconds` are wall time."""

    def __init__(self, record_seconds: float, batch_seconds: float) -> None:
        self._record_seconds, self._batch_seconds = record_seconds, batch_seconds
        self._every = min(record_seconds / 4, 1.0)
        self._position: Callable[[], int] | None = None
        self._at: int | None = None
        self._since = self._end = self._again = 0.0
        self._telling = False

    @contextmanager
    def over(self, position: Callable[[], int] | None) -> Iterator[None]:
        """While the body runs. `position` says which record the rule is at; None where it gets all of them at once."""
        self._at, self._since = None, monotonic()
        self._end = self._since + self._batch_seconds
        self._position = position
        self._arm(self._since)
        if position:
            signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, self._every, self._every)
        try:
            yield
        finally:
            self._position = None
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """While the body runs, nothing is interrupted: it is no code of the rule, and soon done."""
        self._telling = True
        try:
            yield
        finally:
            self._telling = False

    def _look(self, *_: Any) -> None:
        if self._position is None or self._telling:  # or an alarm that was on its way when the batch was done
            return
        now, at = monotonic(), self._position()
        if at != self._at:
            self._at, self._since = at, now
            with suppress(RuntimeError):  # no thread can be started any more: then the host keeps the time
                self._arm(now)
        if now - self._since >= self._record_seconds and now >= self._again:
            self._again = now + self._every  # a late look and the next one must not come both at once
            raise RecordTimeout(f"it took longer than {self._record_seconds:g} s, which is the limit for a record")

    def _arm(self, now: float) -> None:
        """Sets the end of the process: of this record's time, with some grace, or of the batch's."""
        end = self._end
        if self._position:
            # Not before two more looks: the interruption should come first, and the look that is due may be early.
            end = min(end, self._since + self._record_seconds + 2 * self._every + GRACE_SECONDS)
        faulthandler.dump_traceback_later(max(end - now, 0.001), exit=True, file=2)
