"""The records of a test case at their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any

from trapline.detection.case import CaseClock, TestCase
from trapline.detection.model import Detection
from trapline.errors import TraplineError
from trapline.settings import Settings, TableSettings
from trapline.workers.answer import Answer

Row = Mapping[str, Any]
Found = tuple[int | None, Answer]
"""A match: the row of its record, None where it names none, and what was said of it."""


class CaseUnusable(TraplineError):
    """A test case that cannot be run as it is."""


def time_column(detection: Detection, settings: Settings) -> str:
    """The column with a record's time: that of the first of its tables."""
    table = settings.tables.get(detection.config.tables[0])
    return table.time if table else str(TableSettings.model_fields["time"].default)


def rows_of(case: TestCase, time: str) -> list[Row]:
    """All records that go in, one after the other. Each has the column `time`, as every real record has."""
    records = chain.from_iterable(repeat(case.records, case.repeat))
    if case.clock is None and case.alerts is None:
        return [{time: None, **record} for record in records]
    moments = (case.clock or CaseClock()).moments()
    rows: list[Row] = []
    for record, moment in zip(records, moments, strict=False):
        rows.append({**record, time: moment if record.get(time) is None else record[time]})
    return rows


def times_of(rows: Sequence[Row], time: str) -> list[datetime]:
    """When each record happens. Raises CaseUnusable where one does not say it with a time."""
    for number, row in enumerate(rows, 1):
        moment = row[time]
        # A window around it has to be a time, too.
        if not isinstance(moment, datetime) or not datetime.min.year < moment.year < datetime.max.year:
            remedy = f"write a time without quotes, such as `{time}: 2026-01-01T00:00:00Z`, or leave `{time}` out"
            raise CaseUnusable(f"record {number} has {time} {str(moment)!r}, which is no time", remedy=remedy)
    return [row[time] if row[time].tzinfo else row[time].replace(tzinfo=UTC) for row in rows]
