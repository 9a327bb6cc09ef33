"""The smoke test: a detection's own tests, run inside what was built, in the sandbox it will run in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from trapline.detection.model import Detection, Expectation, Mode, TestCase
from trapline.workers.answer import Answer, complete
from trapline.workers.interface import Worker
from trapline_plugins.text import one_line


def failing_cases(detection: Detection, worker: Worker, printed: Callable[[str], None]) -> list[str]:
    """One line for each test case that does not hold: its name, what was expected and what came.

    `printed` is given what the rule prints.
    """
    return [
        f"test {case.name!r}: {complaint}"
        for case in detection.config.tests
        if (complaint := _complaint(detection, worker, case, printed))
    ]


def _complaint(detection: Detection, worker: Worker, case: TestCase, printed: Callable[[str], None]) -> str | None:
    replies = []
    try:
        for batch in _batches(detection.mode, case.records):
            replies.append(worker.run(batch))
            printed(replies[-1].log)
    except pa.ArrowException as error:
        return f"its records cannot be made into one table: {error}"
    for reply in replies:
        for failure in reply.failures:
            return f"{failure.function}() raised {one_line(failure.error)} at {failure.file}:{failure.line}"
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
