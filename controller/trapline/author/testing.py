"""Running the tests of detections as a deployment would: in what is built of each, in the sandbox, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from trapline.author.workshop import Workshop
from trapline.deploy.smoke import CaseResult, run_case
from trapline.detection.model import Detection, TestCase
from trapline.errors import TraplineError
from trapline.workers.interface import BuildDigest, Worker, WorkerError

Wanted = Callable[[Detection, TestCase], bool]


@dataclass(frozen=True, slots=True)
class Timed:
    """A case, how it went, and in how many seconds."""

    result: CaseResult
    seconds: float


@dataclass(frozen=True, slots=True)
class Tested:
    """How the cases of a detection went; with a `problem` none could be run. `build` is what they ran in."""

    detection: Detection
    cases: Sequence[Timed] = ()
    problem: str = ""
    build: BuildDigest | None = None

    @property
    def failed(self) -> bool:
        return bool(self.problem) or any(case.result.complaint for case in self.cases)


def one_sided(detection: Detection) -> str:
    """What its tests do not show, for a rule is only known by both: what it finds, and what it leaves alone."""
    matches = [bool(case.match) for case in detection.config.tests]
    if not matches:
        return "it has no tests"
    if all(matches):
        return "no test shows what it leaves alone: add a case with `match: false`"
    return "" if any(matches) else "no test shows what it finds: add a case with `match: true`"


def run_tests(detections: Sequence[Detection], workshop: Workshop, *, wanted: Wanted, at_once: int) -> Iterator[Tested]:
    """Runs the cases that are wanted, and yields how each detection fared, in their order."""
    chosen = [
        (detection, [case for case in detection.config.tests if wanted(detection, case)]) for detection in detections
    ]
    with ThreadPoolExecutor(at_once, "tests") as pool:
        yield from pool.map(lambda one: _tested(workshop, *one), [one for one in chosen if one[1]])


def _tested(workshop: Workshop, detection: Detection, cases: Sequence[TestCase]) -> Tested:
    try:
        digest = workshop.build(detection)
        return Tested(detection, list(_run(workshop, detection, digest, cases)), build=digest)
    except TraplineError as error:
        return Tested(detection, problem=str(error))


def _run(workshop: Workshop, detection: Detection, digest: BuildDigest, cases: Sequence[TestCase]) -> Iterator[Timed]:
    """A rule that takes its worker with it, by a loop or all memory, fails in that case alone. Raises WorkerError where
    the script cannot even be started."""
    worker = workshop.start(detection, digest)
    try:
        for case in cases:
            start = perf_counter()
            try:
                result = run_case(detection, worker, case)
            except WorkerError as error:
                result = CaseResult(case, str(error), error.log)
                worker = _another(worker, workshop, detection, digest)
            yield Timed(result, perf_counter() - start)
    finally:
        worker.close()


def _another(worker: Worker, workshop: Workshop, detection: Detection, digest: BuildDigest) -> Worker:
    worker.close()
    return workshop.start(detection, digest)
