"""Running the tests of detections as a deployment would: in what is built of each, in the sandbox, side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from time import perf_counter

from trapline.author.workshop import Workshop
from trapline.deploy.expect import Complaint
from trapline.deploy.smoke import CaseResult, run_case
from trapline.detection.model import Detection, TestCase
from trapline.errors import TraplineError
from trapline.workers.interface import BuildDigest, Lines, Worker, WorkerError

Wanted = Callable[[Detection, TestCase], bool]
CaseName = tuple[str, str]
"""A detection's identity, and the name of one of its cases."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A case, how it went, and in how many seconds."""

    result: CaseResult
    seconds: float


@dataclass(frozen=True, slots=True)
class Tested:
    """How the cases of a detection went; with a `problem` none could be run. `build` is what they ran in.

    `asked` are the cases that should have run, `coverage` the lines of its own files, where that was asked for.
    """

    detection: Detection
    asked: Sequence[TestCase] = ()
    cases: Sequence[Timed] = ()
    problem: str = ""
    build: BuildDigest | None = None
    coverage: Mapping[str, Lines] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.problem) or any(case.result.complaint for case in self.cases)

    @property
    def failures(self) -> Collection[CaseName]:
        """The cases that do not hold: all that were asked for, where none could be run."""
        names = [case.result.case.name for case in self.cases if case.result.complaint]
        if self.problem:
            names = [case.name for case in self.asked]
        return [(self.detection.identity, name) for name in names]


Asked = tuple[Detection, Sequence[TestCase]]
"""A detection with those of its cases that are to run, in this order."""


def one_sided(detection: Detection) -> str:
    """What its tests do not show, for a rule is only known by both: what it finds, and what it leaves alone."""
    cases = detection.config.tests
    if not cases:
        return "it has no tests"
    if not any(case.leaves for case in cases):
        return "no test shows what it leaves alone: add a case with `match: false`"
    return "" if any(case.finds for case in cases) else "no test shows what it finds: add a case with `match: true`"


def choose(detections: Iterable[Detection], wanted: Wanted, *, first: Collection[CaseName] = ()) -> list[Asked]:
    """The detections with the cases that are wanted; those named in `first` before all others."""

    def later(one: Asked) -> bool:
        return not any((one[0].identity, case.name) in first for case in one[1])

    chosen = []
    for detection in detections:
        cases = [case for case in detection.config.tests if wanted(detection, case)]
        if cases:
            chosen.append((detection, sorted(cases, key=lambda case: (detection.identity, case.name) not in first)))
    return sorted(chosen, key=later)


def run_tests(asked: Sequence[Asked], workshop: Workshop, *, at_once: int, coverage: bool = False) -> Iterator[Tested]:
    """Runs these cases, and yields how each detection fared, in their order."""
    stopping = Event()
    with ThreadPoolExecutor(at_once, "tests") as pool:
        try:
            yield from pool.map(lambda one: _tested(workshop, *one, coverage=coverage, stopping=stopping), asked)
        finally:
            stopping.set()


def _tested(
    workshop: Workshop, detection: Detection, cases: Sequence[TestCase], *, coverage: bool, stopping: Event
) -> Tested:
    try:
        digest = workshop.build(detection)
        run = _Run(workshop, detection, digest, coverage, stopping)
        results = list(run.each(cases))
    except TraplineError as error:
        return Tested(detection, cases, problem=str(error))
    return Tested(detection, cases, results, build=digest, coverage=_together(one.result.coverage for one in results))


@dataclass(frozen=True, slots=True)
class _Run:
    workshop: Workshop
    detection: Detection
    digest: BuildDigest
    coverage: bool
    stopping: Event

    def each(self, cases: Sequence[TestCase]) -> Iterator[Timed]:
        """A rule that takes its worker with it, by a loop or all memory, fails in that case alone. Raises WorkerError
        where the script cannot even be started."""
        worker, settings = self._start(), self.workshop.builder.settings
        try:
            for case in cases:
                if self.stopping.is_set():
                    return
                start = perf_counter()
                try:
                    result = run_case(self.detection, worker, case, settings)
                except WorkerError as error:
                    result = CaseResult(case, [Complaint(str(error))], error.log)
                    worker.close()
                    worker = self._start()
                yield Timed(result, perf_counter() - start)
        finally:
            worker.close()

    def _start(self) -> Worker:
        return self.workshop.start(self.detection, self.digest, coverage=self.coverage)


def _together(parts: Iterable[Mapping[str, Lines]]) -> Mapping[str, Lines]:
    """What several workers say of the same files: a line that ran in one of them did run."""
    ran: dict[str, frozenset[int]] = {}
    every: dict[str, frozenset[int]] = {}
    for part in parts:
        for file, lines in part.items():
            ran[file] = ran.get(file, frozenset()) | lines.ran
            every[file] = every.get(file, frozenset()) | lines.ran | lines.missing
    return {file: Lines(ran[file], lines - ran[file]) for file, lines in every.items()}
