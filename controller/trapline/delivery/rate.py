"""Rate limits: never more than so many notifications to a destination within any period."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from trapline_plugins.api import Destination, Rate


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


class Meters:
    """The meters of the destinations, by name. `rates` are what the settings say, before what their classes do."""

    def __init__(self) -> None:
        self.rates: Mapping[str, Rate] = {}
        self._meters: dict[str, Meter] = {}

    def of(self, name: str, destination: Destination[Any]) -> Meter | None:
        """The meter of a destination; None where nothing limits it."""
        rate = self.rates.get(name) or destination.rate
        if rate is None:
            return None
        meter = self._meters.get(name)
        if meter is None or meter.rate != rate:
            meter = self._meters[name] = Meter(rate)
        return meter

    def pause(self, now: datetime, longest: timedelta) -> timedelta:
        """How long until one more lets something through that lets nothing through now, at most so long."""
        full = [meter for meter in self._meters.values() if meter.left(now) <= 0]
        return min([longest, *(meter.free_at(now) - now for meter in full)])
