"""How time and memory grow, with the detections on a table and with its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import rules
from tests.bench.alone import Done, Task, run_alone
from tests.bench.baselines import Script, json_lines
from tests.bench.feeds import feeds
from tests.bench.lake import Lake
from tests.bench.measure import Result, Sizes, Timed, Way, timed
from tests.bench.speed import COUNT
from trapline.workers.interface import BackendUnavailable

_COLUMNS = ("controller, before", "at its peak", "the largest worker", "all workers")
_KINDS = {
    "understood": rules.TWO_FIELDS,
    "opaque, two fields": rules.OPAQUE,
    "opaque, whole record": rules.WHOLE,
}


@dataclass(frozen=True, slots=True)
class _Point:
    """One of the sizes that are measured, and the baseline that it is compared with."""

    what: str
    lake: Lake
    done: Done
    against: str
    letter: str = ""

    @property
    def timed(self) -> Timed:
        """Without the first run, where there are several: workers are started in it."""
        way = Way(what=self.what, count=self.lake.records, work=lambda: None, letter=self.letter, against=self.against)
        return Timed(way, self.done.seconds[1:] or self.done.seconds)

    @property
    def sizes(self) -> tuple[str, Sequence[int | None]]:
        workers = self.done.workers
        return self.what, [self.done.before, self.done.peak, max(workers, default=None), sum(workers)]


def measure_detections(*, quick: bool) -> list[Result | Sizes]:
    """1, 10, 100 and 1,000 detections on one table."""
    sandbox = _without_images()
    # how many detections, and how many records the baseline decodes for them
    steps = {1: 200, 10: 200} if quick else {1: 100_000, 10: 50_000, 100: 10_000, 1_000: 1_000}
    count, runs = (20_000, 1) if quick else (COUNT, 3)
    sources = rules.understood(max(steps))
    rules.check_understood(sources)
    scripts = [Script.of(source) for source in sources]
    baselines: list[Timed] = []
    points: list[_Point] = []
    with TemporaryDirectory(prefix="trapline-bench-") as folder:
        lake = Lake.fill(Path(folder), count, sampled=max(steps.values()))
        for letter, (many, lines) in zip("ABCD", steps.items(), strict=False):
            baseline = json_lines(lake, scripts[:many], lines, letter)
            done = run_alone(Task(lake, sources[:many], sandbox, runs, first=lines))
            assert done.found == baseline.work()
            baselines += timed([baseline], runs=runs)
            what, ratios = f"{sandbox}: {many:,} of them", letter if many == 1 else f"{letter}E"
            points.append(_Point(what, lake, done, ratios, "E" if many == 1 else ""))
    title = f"Growth with the detections ({count:,} records, all rules understood)"
    note = "E against itself is the growth: 0.10 × E takes ten times as long as one detection."
    return _shown(title, baselines, points, note)


def measure_records(*, quick: bool) -> list[Result | Sizes]:
    """A tenth of a million, a million and ten million records, with one rule of each kind."""
    steps = {10_000: 2, 20_000: 1} if quick else {COUNT // 10: 4, COUNT: 3, COUNT * 10: 1}
    lines, sandbox = min(100_000, *steps), "process" if quick else "auto"
    points: list[_Point] = []
    baselines: list[float] = []
    with TemporaryDirectory(prefix="trapline-bench-") as folder:
        middle = sorted(steps)[-2]
        lakes = [_lake(Path(folder) / str(count), min(count, middle), count, lines) for count in steps]
        baseline = json_lines(lakes[0], [Script.of(rules.TWO_FIELDS)], lines, "A")
        expected = baseline.work()
        for what, source in _KINDS.items():
            for lake, runs in zip(lakes, steps.values(), strict=True):
                done = run_alone(Task(lake, [source], sandbox, runs, first=lines))
                assert done.found == expected
                points.append(_Point(f"{what}, {lake.records:,}", lake, done, "A"))
                baselines += timed([baseline], runs=1)[0].times
        assert {point.done.matches for point in points} == {point.done.matches for point in points[: len(steps)]}
    title = f"Growth with the records (one detection, {points[0].done.sandbox})"
    note = f"{max(steps):,} are read once, with cold workers, the others several times, with warm ones."
    return _shown(title, [Timed(baseline, baselines)], points, note)


def _lake(folder: Path, part: int, count: int, lines: int) -> Lake:
    """So many records, in files of so many each, which are all the same."""
    return Lake.fill(folder, part, sampled=lines).grown(count // part)


def _without_images() -> str:
    """The strongest sandbox that needs no image for each detection: to build a thousand takes a quarter of an hour."""
    try:
        with feeds("bubblewrap"):
            return "bubblewrap"
    except BackendUnavailable:
        return "process"


def _shown(title: str, baselines: Sequence[Timed], points: Sequence[_Point], note: str) -> list[Result | Sizes]:
    memory = Sizes(f"Memory: {title[0].lower()}{title[1:]}", _COLUMNS, [point.sizes for point in points])
    return [Result(title, "records", [*baselines, *(point.timed for point in points)], note), memory]
