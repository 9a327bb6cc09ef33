"""Gates: what a change may do to the alerts and to the bill without a person's word. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rich.filesize import decimal

from trapline.author.change.compare import Comparison
from trapline.author.history.summary import per_day


class Fate(StrEnum):
    """What can become of an alert."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Gates:
    """The most alerts a day that one detection may raise, the most bytes that the run may read, and fates that no alert
    may have. None and nothing: no gate."""

    max_alerts_per_day: float | None = None
    max_bytes: int | None = None
    fail_on: Collection[Fate] = ()

    def exceeded(self, comparison: Comparison) -> list[str]:
        """A sentence for each gate that a change does not pass."""
        return [*self._alerts(comparison), *self._bytes(comparison), *self._fates(comparison)]

    def _alerts(self, comparison: Comparison) -> Iterator[str]:
        for one in comparison.detections:
            rate = per_day(len(one.head.alerts), comparison.window) if one.head else 0.0
            if self.max_alerts_per_day is not None and rate > self.max_alerts_per_day:
                most = f"{self.max_alerts_per_day:g} are the most"
                yield f"{one.differing.name} raises {rate:,.1f} alerts a day, and {most} (--max-alerts-per-day)"

    def _bytes(self, comparison: Comparison) -> Iterator[str]:
        if self.max_bytes is not None and comparison.bytes_scanned > self.max_bytes:
            most = f"{decimal(self.max_bytes)} are the most"
            yield f"the comparison read {decimal(comparison.bytes_scanned)}, and {most} (--max-bytes)"

    def _fates(self, comparison: Comparison) -> Iterator[str]:
        for one in comparison.detections:
            counts = {
                Fate.ADDED: len(one.alerts.added),
                Fate.REMOVED: len(one.alerts.removed),
                Fate.CHANGED: len(one.alerts.changed),
            }
            for fate, count in counts.items():
                if count and fate in self.fail_on:
                    alerts = "alert is" if count == 1 else "alerts are"
                    yield f"{one.differing.name}: {count:,} {alerts} {fate.value} (--fail-on {fate.value})"
