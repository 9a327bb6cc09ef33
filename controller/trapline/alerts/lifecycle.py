"""Which matches make an alert: pure arithmetic on event times, so that a backfill says the same as the live run.

An alert opens when a (detection, dedupe) pair has `threshold` matches inside one deduplication window, which then
counts from the first of them; later matches inside that window join it, whether it is still open or not. Matches below
the threshold stay pending and count towards it in later ticks, whatever batch they came in.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """One match, as far as the lifecycle minds it. Ordered by time, then by id, so that ties fall the same way."""

    at: datetime
    match_id: str


@dataclass(slots=True)
class Span:
    """An alert's deduplication window `[start, end)`, cut short where somebody resolved it, and what joined it now."""

    start: datetime
    end: datetime
    alert_id: str | None = None  # None: opened just now
    joined: list[Moment] = field(default_factory=list)


def assign(
    new: Iterable[Moment],
    *,
    pending: Iterable[Moment],
    known: Iterable[Span],
    threshold: int,
    window: timedelta,
) -> list[Span]:
    """Gives each new match to an alert, or leaves it pending; returns the spans that something joined, oldest first.

    `pending` are earlier matches without an alert, `known` the alerts of the same pair; both at least one window around
    the new matches.
    """
    waiting = sorted(pending)
    spans = list(known)
    for moment in sorted(new):
        # Of two windows over one moment (late data can make such) the younger takes it.
        home = max((s for s in spans if s.start <= moment.at < s.end), key=lambda s: s.start, default=None)
        if home:
            home.joined.append(moment)
            continue
        insort(waiting, moment)
        start = _first_full_window(waiting, moment, threshold, window)
        if start is not None:
            end = start + window
            inside = [m for m in waiting if start <= m.at < end]
            waiting = [m for m in waiting if not start <= m.at < end]
            spans.append(Span(start, end, joined=inside))
    return sorted((s for s in spans if s.joined), key=lambda s: s.start)


def _first_full_window(waiting: list[Moment], newest: Moment, threshold: int, window: timedelta) -> datetime | None:
    """The start of the earliest window with `threshold` waiting matches, one of them the newest."""
    position = waiting.index(newest)
    for first in range(max(0, position - threshold + 1), position + 1):
        last = first + threshold - 1
        if last < len(waiting) and waiting[last].at - waiting[first].at < window:
            return waiting[first].at
    return None
