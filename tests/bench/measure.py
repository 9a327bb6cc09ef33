"""What every benchmark shares: what is timed, how, and the table it is printed as."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from time import perf_counter
from typing import Any

from rich.table import Table


class Skipped(Exception):
    """This machine has not what a benchmark needs; the message says what that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of doing something to `count` items; `before` is done ahead of each run and not timed.

    A baseline has a `letter`; `against` has the letters of the baselines that this way is compared with. `runs` is for
    a way that is not run as often as the others. `aim` is what its ratio is meant to be.
    """

    what: str
    count: int = 1
    work: Callable[[], Any]
    before: Callable[[], Any] = lambda: None
    letter: str = ""
    against: str = ""
    runs: int | None = None
    aim: str = ""


@dataclass(frozen=True, slots=True)
class Timed:
    """A way and how long each of its runs took."""

    way: Way
    times: Sequence[float]

    @property
    def seconds(self) -> float:
        return median(self.times)

    @property
    def p95(self) -> float:
        """The time that no more than one run in twenty exceeded."""
        return sorted(self.times)[ceil(0.95 * len(self.times)) - 1]

    @property
    def rate(self) -> float:
        return self.way.count / self.seconds


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark, measured in one run. Without a `unit` it is one thing at a time, and has a p95 instead of a rate.

    `parts` says that the ways are parts of their baseline, and shown as shares of it. `missing` says what could not be
    measured here, and why.
    """

    title: str
    unit: str
    timed: Sequence[Timed]
    note: str = ""
    parts: bool = False
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sizes:
    """Memory, measured in one run: in each row what it is of, and a number of bytes for each column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int | None]]]
    note: str = ""
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted, not timed: in each row what it is of, and a figure for each column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    note: str = ""
    missing: Sequence[str] = ()


def timed(ways: Sequence[Way], *, runs: int) -> list[Timed]:
    """Every way several times, taking turns, so that a busy moment of the machine is nobody's alone."""
    times: list[list[float]] = [[] for _ in ways]
    for run in range(runs):
        for way, taken in zip(ways, times, strict=True):
            if run < (runs if way.runs is None else way.runs):
                way.before()
                gc.collect()  # nobody pays for the litter of whoever ran before
                start = perf_counter()
                way.work()
                taken.append(perf_counter() - start)
    return [Timed(way, taken) for way, taken in zip(ways, times, strict=True)]


def table(result: Result | Sizes | Figures) -> Table:
    """The result as people read it."""
    shown = Table(title=result.title, title_justify="left", title_style="bold", caption=result.note or None)
    shown.caption_justify = "left"
    shown.add_column("")
    if isinstance(result, Sizes):
        _fill(shown, result.columns, [(name, map(_size, row)) for name, row in result.rows])
    elif isinstance(result, Figures):
        _fill(shown, result.columns, result.rows)
    else:
        _fill_with_times(shown, result)
    return shown


def _fill_with_times(shown: Table, result: Result) -> None:
    shown.add_column("median", justify="right")
    shown.add_column(f"{result.unit}/s" if result.unit else "p95", justify="right")
    shown.add_column("share" if result.parts else "times as fast", justify="right")
    aims = any(one.way.aim for one in result.timed)
    if aims:
        shown.add_column("aim", justify="right")
    baselines = {one.way.letter: one for one in result.timed if one.way.letter}
    for one in result.timed:
        name = f"{one.way.letter}: {one.way.what}" if one.way.letter else one.way.what
        middle = f"{one.rate:,.{0 if one.rate >= 10 else 1}f}" if result.unit else _seconds(one.p95)
        ratios = (_compared(one, baselines[letter], parts=result.parts) for letter in one.way.against)
        row = [name, _seconds(one.seconds), middle, "  ".join(ratios)]
        shown.add_row(*row, *([one.way.aim] if aims else []))


def _fill(shown: Table, columns: Sequence[str], rows: Iterable[tuple[str, Iterable[str]]]) -> None:
    for column in columns:
        shown.add_column(column, justify="right")
    for name, row in rows:
        shown.add_row(name, *row)


def _size(size: int | None) -> str:
    return "" if size is None else f"{size / 2**20:,.1f} MiB"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.02 else f"{seconds * 1000:.1f} ms"


def _compared(one: Timed, baseline: Timed, *, parts: bool) -> str:
    letter = baseline.way.letter
    if parts:
        return f"{one.seconds / baseline.seconds:.0%} of {letter}"
    return f"{one.rate / baseline.rate:.2f} × {letter}"
