"""A backtest as one page: plots and all, without scripts, and without anything that it would have to fetch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from rich.filesize import decimal

from trapline.author.backtest.run import Backtest
from trapline.author.history.summary import Histogram, per_day, shown_rate
from trapline.config.units import format_duration
from trapline.state.costs import dollars
from trapline_plugins.text import one_line

_WIDTH, _HEIGHT = 720, 72
"""The size of a plot in its own units; the page scales it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A column of a plot, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Columns over time, the highest `most` high; `summary` says it to those who cannot see it."""

    name: str
    bars: Sequence[Bar]
    most: int
    summary: str


def as_page(backtest: Backtest) -> str:
    """The page. All texts of rules and records are escaped, and show no control characters."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "line": lambda text: one_line(str(text), 300),
        "moment": _moment,
        "size": decimal,
        "dollars": dollars,
        "rate": shown_rate,
        "duration": format_duration,
        "number": lambda value: f"{value:,}",
    }
    source = (files("trapline.author.backtest") / "backtest.html").read_text(encoding="utf-8")
    alerts = sum(len(one.past.alerts) for one in backtest.summaries)
    return environment.from_string(source).render(
        backtest=backtest,
        history=backtest.history,
        alerts=alerts,
        matches=sum(one.past.matches for one in backtest.summaries),
        alerts_per_day=per_day(alerts, backtest.window),
        priced=bool(backtest.price),
        numbered=list(enumerate(backtest.summaries, 1)),
        plots_of=lambda histogram: list(_plots(histogram)),
        times_of=_times,
        width=_WIDTH,
        height=_HEIGHT,
    )


def _plots(histogram: Histogram) -> Iterator[Plot]:
    for name, counts in (("Matches", histogram.matches), ("Alerts", histogram.alerts)):
        if most := max(counts, default=0):
            yield Plot(name, list(_bars(histogram, counts, most)), most, _summary(name, histogram, counts))


def _bars(histogram: Histogram, counts: Sequence[int], most: int) -> Iterator[Bar]:
    wide = _WIDTH / len(counts)
    for at, count, number in zip(_times(histogram), counts, range(len(counts)), strict=True):
        if count:
            height = max(_HEIGHT * count / most, 1.5)
            x, y = number * wide + wide * 0.1, _HEIGHT - height
            yield Bar(round(x, 1), round(y, 1), round(wide * 0.8, 1), round(height, 1), f"{_moment(at)}: {count:,}")


def _summary(name: str, histogram: Histogram, counts: Sequence[int]) -> str:
    most = max(counts)
    at = _times(histogram)[counts.index(most)]
    step = format_duration(histogram.step)
    return f"{name} in steps of {step}: {sum(counts):,} in all, at most {most:,}, from {_moment(at)} on"


def _times(histogram: Histogram) -> list[datetime]:
    return [histogram.start + histogram.step * number for number in range(len(histogram.matches))]


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
