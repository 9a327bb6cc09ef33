"""Writing a day-partitioned Parquet table: a reader never sees half a file, and a second writing adds nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trapline.errors import TraplineError

ROW_GROUP = 20_000
_CHUNK = 5_000
"""Records held as Python objects at once; as Arrow they take a fraction of that memory."""


@dataclass(frozen=True, slots=True)
class Written:
    """One Parquet file of a table, and what is in it."""

    path: Path
    day: date
    rows: int
    first: datetime
    last: datetime


def write_days(records: Iterable[Mapping[str, Any]], to: Path, *, name: str, schema: pa.Schema) -> list[Written]:
    """Writes records into `TO/day=YYYY-MM-DD/<name>.parquet`, one file for each day of their `ts`, sorted by it.

    The name stands for the records' source: writing the same source again replaces its files.
    """
    parts: dict[date, list[pa.Table]] = defaultdict(list)
    for chunk in _chunks(records):
        days: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
        for record in chunk:
            days[record["ts"].date()].append(record)
        for day, rows in days.items():
            parts[day].append(pa.Table.from_pylist(rows, schema=schema))
    try:
        return [
            _write(pa.concat_tables(parts[day]).sort_by("ts"), to / f"day={day.isoformat()}" / f"{name}.parquet", day)
            for day in sorted(parts)
        ]
    except OSError as error:
        raise TraplineError(
            f"cannot write the table at {to}: {error}", remedy="check the folder's permissions and the free space"
        ) from error


def _write(table: pa.Table, path: Path, day: date) -> Written:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")  # a name that no reader's glob takes
    try:
        pq.write_table(table, unfinished, compression="zstd", row_group_size=ROW_GROUP)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    first, last = (table["ts"][row].as_py().astimezone(UTC) for row in (0, -1))
    return Written(path, day, table.num_rows, first, last)


def _chunks(records: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    remaining = iter(records)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
