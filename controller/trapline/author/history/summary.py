"""What a version said of a past window, in numbers that people compare: how much, how bad, about whom, and when."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trapline.author.history.past import Past, PastAlert
from trapline.detection.model import Severity
from trapline.schedule import Every
from trapline.settings import Settings
from trapline.state.costs import price
from trapline.window import Window

KEYS = 20
EXAMPLES = 10

_MOST_COLUMNS = 61  # a month in halves of days
_DAY = timedelta(days=1)
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 40_320, 120_960)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many there were in each `step` of time, from `start` on. An alert counts where its first match is."""

    start: datetime
    step: timedelta
    matches: Sequence[int]
    alerts: Sequence[int]


@dataclass(frozen=True, slots=True)
class Key:
    """A dedupe key, its alerts, and the matches in these."""

    dedupe: str
    alerts: int
    matches: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One version's past in numbers. `examples` are of the highest severities; `price` is in US dollars."""

    past: Past
    alerts_per_day: float
    severities: Mapping[Severity, int]
    keys: Sequence[Key]
    other_keys: int
    histogram: Histogram
    examples: Sequence[PastAlert]
    bytes_scanned: int
    price: float


def summarise(past: Past, window: Window, settings: Settings) -> Summary:
    """The numbers of one version. The most frequent keys are kept, and how many others there are."""
    keys = _keys(past.alerts)
    severities = Counter(alert.severity for alert in past.alerts)
    return Summary(
        past=past,
        alerts_per_day=per_day(len(past.alerts), window),
        severities={severity: severities[severity] for severity in reversed(Severity) if severities[severity]},
        keys=keys[:KEYS],
        other_keys=max(len(keys) - KEYS, 0),
        histogram=_histogram(past, window),
        examples=sorted(past.alerts, key=lambda alert: (-alert.severity.rank, -alert.match_count))[:EXAMPLES],
        bytes_scanned=sum(past.read.values()),
        price=price_of(past.read, settings),
    )


def per_day(count: int, window: Window) -> float:
    """So many within a window, as a rate."""
    return count / ((window.end - window.start) / _DAY)


def shown_rate(rate: float) -> str:
    """A rate as exactly as somebody minds."""
    return f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.1f}" if rate >= 0.1 else "under 0.1"


def price_of(read: Mapping[str, int], settings: Settings) -> float:
    """What reading these bytes, by table, takes in US dollars."""
    return sum(price(table, size, settings) for table, size in read.items())


def _keys(alerts: Iterable[PastAlert]) -> list[Key]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for alert in alerts:
        counts[alert.dedupe][0] += 1
        counts[alert.dedupe][1] += alert.match_count
    keys = [Key(dedupe, *count) for dedupe, count in counts.items()]
    return sorted(keys, key=lambda key: (-key.alerts, -key.matches, key.dedupe))


def _histogram(past: Past, window: Window) -> Histogram:
    """In round steps of time, so that a column begins at a full hour or day."""
    length = window.end - window.start
    steps = (timedelta(minutes=minutes) for minutes in _MINUTES)
    step = next((step for step in steps if length <= step * (_MOST_COLUMNS - 1)), timedelta(minutes=_MINUTES[-1]))
    start = Every(step).last(window.start)
    columns = -((start - window.end) // step)
    return Histogram(
        start,
        step,
        matches=_counted(past.match_times, start, step, columns),
        alerts=_counted((alert.first_match_at for alert in past.alerts), start, step, columns),
    )


def _counted(times: Iterable[datetime], start: datetime, step: timedelta, columns: int) -> Sequence[int]:
    counts = [0] * columns
    for at in times:
        counts[(at - start) // step] += 1
    return counts
