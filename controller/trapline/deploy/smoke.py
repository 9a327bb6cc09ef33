"""The smoke test: a detection's own tests, run inside what was built, in the sandbox it will run in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from trapline.deploy.expect import Complaint, compare_alerts, compare_answer, compare_count
from trapline.deploy.simulate import CaseUnusable, Found, Row, rows_of, time_column, times_of
from trapline.detection.model import Detection, Mode, TestCase
from trapline.settings import Settings
from trapline.workers.answer import complete
from trapline.workers.interface import BatchReply, Lines, Worker
from trapline_plugins.text import one_line


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a test case went: what is wrong, nothing where it holds, and what the rule printed meanwhile."""

    case: TestCase
    complaints: Sequence[Complaint] = ()
    log: str = ""
    coverage: Mapping[str, Lines] = field(default_factory=dict)

    @property
    def complaint(self) -> str | None:
        """What is wrong, in a line; None where it holds."""
        return "; ".join(map(str, self.complaints)) or None


def run_case(detection: Detection, worker: Worker, case: TestCase, settings: Settings) -> CaseResult:
    """Runs one test case. Raises WorkerError where the rule takes the worker with it."""
    time = time_column(detection, settings)
    detection = detection.as_written
    rows = rows_of(case, time)
    try:
        times = None if case.alerts is None else times_of(rows, time)
        batches = _batches(detection.mode, rows)
    except CaseUnusable as error:
        return CaseResult(case, [Complaint(str(error), ("records",))])
    except pa.ArrowException as error:
        return CaseResult(case, [Complaint(f"its records cannot be made into one table: {error}", ("records",))])
    replies = [worker.run(batch, mocks=case.mocks) for batch in batches]
    found = _found(detection, replies, settings)
    complaints = [*_failures(replies)] or [*_compare(detection, case, found, times)]
    return CaseResult(case, complaints, "".join(reply.log for reply in replies), replies[-1].coverage)


def _batches(mode: Mode, rows: Sequence[Row]) -> list[pa.RecordBatch]:
    """Record rules get a batch of each record alone, so that the shape of one says nothing about another."""
    groups = [rows] if mode is Mode.BATCH else [[row] for row in rows]
    return [pa.RecordBatch.from_struct_array(pa.array(group)) for group in groups]


def _failures(replies: Sequence[BatchReply]) -> Iterator[Complaint]:
    """The first failure: those after it are seldom others."""
    for failure in (failure for reply in replies for failure in reply.failures):
        error = one_line(failure.error)
        if not failure.function:
            yield Complaint(f"mocks: {error}", ("mocks",))
        else:
            did = " raised" if failure.outcome == "raised" else ":"
            yield Complaint(f"{failure.function}(){did} {error} at {failure.file}:{failure.line}")
        return


def _compare(
    detection: Detection, case: TestCase, found: Sequence[Found], times: Sequence[datetime] | None
) -> Iterator[Complaint]:
    answers = [answer for _, answer in found]
    yield from (Complaint(note) for answer in answers for note in answer.notes[:1])
    miscounted = [] if case.match is None else [*compare_count(_wanted(detection, case, len(found)), len(found))]
    yield from miscounted
    if not miscounted and case.match is not False:
        yield from compare_answer(case.expect, answers)
    if case.alerts is not None and times is not None:
        from trapline.deploy.alerted import opened  # takes long to load, and few cases ask for alerts

        changes = opened(detection, found, times)
        yield from compare_alerts(case.alerts, changes, matches=len(found), settings=detection.config.alert)


def _wanted(detection: Detection, case: TestCase, found: int) -> int:
    """How many matches there should be."""
    if case.match is not True:
        return int(case.match or 0)
    # How many of the records a batch rule names is its own affair.
    return max(1, found) if detection.mode is Mode.BATCH else case.count


def _found(detection: Detection, replies: Sequence[BatchReply], settings: Settings) -> list[Found]:
    by_batch, destinations = detection.mode is Mode.BATCH, settings.default_destinations
    return [
        (match.row if by_batch else number, complete(match, detection.config, default_destinations=destinations))
        for number, reply in enumerate(replies)
        for match in reply.matches
    ]
