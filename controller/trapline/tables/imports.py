"""Importing CloudTrail deliveries into the table `aws_cloudtrail`: read, normalise, write, one file at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from trapline.errors import Problem
from trapline.tables.cloudtrail import SCHEMA
from trapline.tables.deliveries import Delivery, Unusable, find_deliveries, read_delivery, records_of
from trapline.tables.parquet import Written, write_days

_REMEDY = "check what wrote the file; CloudTrail itself delivers no such event"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of an import. `files` counts the deliveries that events were taken from."""

    files: int
    events: int
    days: tuple[date, ...]
    problems: tuple[Problem, ...]
    first: datetime | None
    last: datetime | None


def import_cloudtrail(source: Path, to: Path, *, on_file: Callable[[Path], None] | None = None) -> ImportResult:
    """Imports a delivery, or every delivery below a folder, into the Parquet table at `to`.

    Files are named by a digest of the delivery they come from: importing the same deliveries again, in whatever order
    or company, writes the same files and doubles nothing. A broken delivery is a problem, and the rest is imported.
    `on_file` is called with each path before it is read.
    """
    files = 0
    written: list[Written] = []
    problems: list[Problem] = []
    for path in find_deliveries(source):
        if on_file is not None:
            on_file(path)
        delivery = read_delivery(path)
        problems += delivery.problems
        unusable: list[Unusable] = []
        made = write_days(records_of(delivery.events, unusable), to, name=delivery.digest[:32], schema=SCHEMA)
        problems += (_problem(delivery, event) for event in unusable)
        files += bool(made)
        written += made
    return ImportResult(
        files=files,
        events=sum(file.rows for file in written),
        days=tuple(sorted({file.day for file in written})),
        problems=tuple(problems),
        first=min((file.first for file in written), default=None),
        last=max((file.last for file in written), default=None),
    )


def _problem(delivery: Delivery, unusable: Unusable) -> Problem:
    message = f"{unusable.fault}, and is left out"
    return Problem(str(delivery.path), 0, "error", unusable.code, message, _REMEDY)
