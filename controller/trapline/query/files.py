"""The files of an embedded table: which of them a window needs, and how much of them a scan reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from trapline.window import Window


def parquet_files(folder: Path) -> list[Path]:
    """The table's files, in the order that scans read them."""
    return sorted(path for path in folder.rglob("*.parquet") if path.is_file())


def files_of_window(folder: Path, partition: str | None, window: Window) -> list[Path]:
    """The files whose day can hold records of the window: pruned here, so that what is read can be counted."""
    files = parquet_files(folder)
    if partition is None:
        return files
    first, last = window.start.astimezone(UTC).date(), (window.end - timedelta(microseconds=1)).astimezone(UTC).date()
    days = {path: _day(path.relative_to(folder), partition) for path in files}
    return [path for path, day in days.items() if day is None or first <= day <= last]


def _day(path: Path, partition: str) -> date | None:
    """The day that a path like `day=2023-07-10/x.parquet` stands for; None where it says none, so it is read."""
    for part in path.parts[:-1]:
        name, _, value = part.partition("=")
        if name == partition:
            try:
                return date.fromisoformat(value)
            except ValueError:
                return None
    return None


def size(files: Iterable[Path], columns: Collection[tuple[str, ...]] | None = None) -> int:
    """The bytes of the files; where columns are given, of these alone, with all that is below them."""
    if columns is None:
        return sum(path.stat().st_size for path in files)
    dotted = {".".join(column).lower() for column in columns}
    return sum(_size(path, dotted) for path in files)


def _size(path: Path, columns: Collection[str]) -> int:
    metadata = pq.read_metadata(path)
    leaves = [metadata.schema.column(at).path.lower() for at in range(metadata.num_columns)]
    prefixes = tuple(f"{column}." for column in columns)
    read = [at for at, leaf in enumerate(leaves) if f"{leaf}.".startswith(prefixes)]
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return sum(group.column(at).total_compressed_size for group in groups for at in read)
