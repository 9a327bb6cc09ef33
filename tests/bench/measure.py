"""What every benchmark shares: what is timed, how, and the table it is printed as."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of doing something to `count` items; `before` is done ahead of each run and not timed.

    A baseline has a `letter`; `against` has the letters of the baselines that this way is compared with.
    """

    what: str
    count: int
    work: Callable[[], Any]
    before: Callable[[], Any] = lambda: None
    letter: str = ""
    against: str = ""


@dataclass(frozen=True, slots=True)
class Timed:
    """A way and the median of its runs."""

    way: Way
    seconds: float

    @property
    def rate(self) -> float:
        return self.way.count / self.seconds


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark, measured in one run."""

    title: str
    unit: str
    timed: Sequence[Timed]
    note: str = ""


def timed(ways: Sequence[Way], *, runs: int) -> list[Timed]:
    """Every way several times, taking turns, so that a busy moment of the machine is nobody's alone."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(runs):
        for way, taken in zip(ways, times, strict=True):
            way.before()
            gc.collect()  # nobody pays for the litter of whoever ran before
            start = perf_counter()
            way.work()
            taken.append(perf_counter() - start)
    return [Timed(way, median(taken)) for way, taken in zip(ways, times, strict=True)]


def table(result: Result) -> Table:
    """The result as people read it."""
    shown = Table(title=result.title, title_justify="left", title_style="bold", caption=result.note or None)
    shown.caption_justify = "left"
    shown.add_column("")
    shown.add_column("median", justify="right")
    shown.add_column(f"{result.unit}/s", justify="right")
    shown.add_column("times as fast", justify="right")
    baselines = {one.way.letter: one for one in result.timed if one.way.letter}
    for one in result.timed:
        name = f"{one.way.letter}: {one.way.what}" if one.way.letter else one.way.what
        ratios = (f"{one.rate / baselines[letter].rate:.2f} × {letter}" for letter in one.way.against)
        shown.add_row(name, f"{one.seconds:.3f} s", f"{one.rate:,.0f}", "  ".join(ratios))
    return shown
