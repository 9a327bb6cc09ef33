"""The smoke test: a detection's own tests, run inside what was built, in the sandbox it will run in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from trapline.detection.model import Detection, Expectation, Mode, TestCase
from trapline.workers.answer import Answer, complete
from trapline.workers.interface import BatchReply, Worker
from trapline_plugins.text import one_line


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a test case went: what is wrong, None where it holds, and what the rule printed meanwhile."""

    case: TestCase
    complaint: str | None
    log: str


def run_case(detection: Detection, worker: Worker, case: TestCase) -> CaseResult:
    """Runs one test case. Raises WorkerError where the rule takes the worker with it."""
    try:
        replies = [worker.run(batch) for batch in _batches(detection.mode, case.records)]
    except pa.ArrowException as error:
        return CaseResult(case, f"its records cannot be made into one table: {error}", "")
    return CaseResult(case, _complaint(detection, case, replies), "".join(reply.log for reply in replies))


def _complaint(detection: Detection, case: TestCase, replies: Sequence[BatchReply]) -> str | None:
    for reply in replies:
        for failure in reply.failures:
            did = " raised" if failure.outcome == "raised" else ":"
            return f"{failure.function}(){did} {one_line(failure.error)} at {failure.file}:{failure.line}"
    answers = [complete(match, detection.config) for reply in replies for match in reply.matches]
    wanted = len(case.records) if case.match is True else int(case.match)
    if detection.mode is Mode.BATCH and case.match is True:
        wanted = max(1, len(answers))  # how many of the records a batch rule names is its own affair
    if len(answers) != wanted:
        return f"expected {_matches(wanted)}, got {_matches(len(answers))}"
    return _difference(case.expect, answers[0]) if answers else None


def _batches(mode: Mode, records: Sequence[Mapping[str, Any]]) -> list[pa.RecordBatch]:
    """Record rules get a batch of each record alone, so that the shape of one says nothing about another."""
    # Every real record has a time column, and a record without any column would have no row.
    rows = [{"ts": None, **record} for record in records]
    groups = [rows] if mode is Mode.BATCH else [[row] for row in rows]
    return [pa.RecordBatch.from_struct_array(pa.array(group)) for group in groups]


def _difference(expected: Expectation, answer: Answer) -> str | None:
    for name, value in expected.model_dump(exclude_none=True).items():
        got = getattr(answer, name)
        if got != value:
            return f"expected {name} {value!r}, got {got!r}"
    return None


def _matches(count: int) -> str:
    return "a match" if count == 1 else f"{count} matches" if count else "no match"
