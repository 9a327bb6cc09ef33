"""Rate limits: never more than so many notifications to a destination within any period."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from trapline_plugins.api import Rate


class Meter:
    """What was sent within the last period, and how much more may be. It forgets when its process ends."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._sent: deque[datetime] = deque()

    def left(self, now: datetime) -> int:
        """How many may be sent now."""
        self._forget(now)
        return self.rate.count - len(self._sent)

    def count(self, now: datetime) -> None:
        """Counts one that is sent now."""
        self._sent.append(now)

    def free_at(self, now: datetime) -> datetime:
        """When one more may be sent."""
        return now if self.left(now) > 0 else self._sent[0] + self.rate.period

    def _forget(self, now: datetime) -> None:
        while self._sent and self._sent[0] + self.rate.period <= now:
            self._sent.popleft()
        while self._sent and self._sent[-1] > now:  # the clock was set back, and must not hold us up until then
            self._sent.pop()
