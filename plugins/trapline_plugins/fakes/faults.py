"""What can go wrong on the other side, in the order in which a test wants it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from trapline_plugins.fake_server import Answer, Request


class Fault(StrEnum):
    """One thing that goes wrong with one request."""

    RATE_LIMITED = "rate limited"
    """Not taken: too many requests, come back after a while."""
    BROKEN = "broken"
    """Not taken: an error of the server."""
    UNAUTHORISED = "unauthorised"
    """Not taken: the key or token is refused, whatever it is."""
    SLOW = "slow"
    """Taken, and answered later than a client may want to wait."""
    LOST_ANSWER = "lost answer"
    """Taken, and then the connection is reset instead of an answer."""


_BEFORE = {
    Fault.RATE_LIMITED: Answer(429, headers=(("Retry-After", "7"),)),
    Fault.BROKEN: Answer(500),
}


@dataclass(slots=True)
class Faults:
    """The faults of the next requests, one each; when none is left, all goes well."""

    unauthorised: Answer
    """How this service refuses a key or token."""
    seconds: float = 1.0
    """How long a slow answer takes."""
    _coming: deque[Fault] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, *faults: Fault) -> None:
        """Makes the next requests fail in this way, in this order."""
        self._coming.extend(faults)

    def around(self, take: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        """What answers requests: by their fault, or as `take` does, which is asked by one thread at a time."""

        def answer(request: Request) -> Answer:
            fault = self._coming.popleft() if self._coming else None
            if fault is Fault.UNAUTHORISED:
                return self.unauthorised
            if fault in _BEFORE:
                return _BEFORE[fault]
            with self._lock:
                taken = take(request)
            if fault is Fault.SLOW:
                threading.Event().wait(self.seconds)
            return Answer(None) if fault is Fault.LOST_ANSWER else taken

        return answer
