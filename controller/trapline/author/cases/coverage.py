"""How much of a detection its cases run: the lines of its own files, and those among them that they leave out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trapline.author.cases.run import Tested


@dataclass(frozen=True, slots=True)
class Covered:
    """A file, by its path from the root: how many lines hold code, and which of them did not run."""

    path: str
    lines: int
    missing: Sequence[int]

    @property
    def percent(self) -> float:
        return percent([self])


def covered(tested: Tested) -> list[Covered]:
    """The files of a detection that hold code, in order."""
    return [
        Covered(f"{tested.detection.path}/{file}", len(lines.ran | lines.missing), sorted(lines.missing))
        for file, lines in sorted(tested.coverage.items())
        if file in tested.detection.files and lines.ran | lines.missing
    ]


def percent(files: Sequence[Covered]) -> float:
    """How much of all these files ran; all of it, where there is nothing to run."""
    lines = sum(file.lines for file in files)
    missing = sum(len(file.missing) for file in files)
    return 100 * (lines - missing) / lines if lines else 100.0


def shown(share: float) -> str:
    """A percentage, cut down: `100%` is all of it."""
    return f"{int(share)}%"


def ranges(lines: Sequence[int]) -> str:
    """Sorted lines as people read them: `7, 9-10`."""
    return ", ".join(_ranges(lines))


def _ranges(lines: Sequence[int]) -> Iterator[str]:
    starts = [line for before, line in pairwise([-1, *lines]) if line != before + 1]
    ends = [line for line, after in pairwise([*lines, -1]) if line + 1 != after]
    for start, end in zip(starts, ends, strict=True):
        yield str(start) if start == end else f"{start}-{end}"


def too_little(results: Iterable[Tested], least: float) -> list[str]:
    """What to say of each detection whose cases run less than `least` percent of it."""
    shares = [(tested.detection.name, percent(covered(tested))) for tested in results if not tested.problem]
    return [
        f"{name}: its cases run {shown(share)} of its lines, and {least:g}% are asked for"
        for name, share in shares
        if share < least
    ]
