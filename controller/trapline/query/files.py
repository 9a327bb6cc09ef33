"""The files of an embedded table: which of them a window needs, and how much of them a scan reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq

from trapline.query.partitions import spelled, touched
from trapline.window import Window


def parquet_files(folder: Path) -> list[Path]:
    """The table's files, in the order that scans read them."""
    return sorted(path for path in folder.rglob("*.parquet") if path.is_file())


def files_of_window(folder: Path, partition: Mapping[str, str], window: Window) -> list[Path]:
    """The files whose partition can hold records of the window: pruned here, so that what is read can be counted."""
    files = parquet_files(folder)
    if not partition:
        return files
    needed = touched(partition, window)
    return [path for path in files if _may_hold(_values(path.relative_to(folder)), partition, needed)]


def _may_hold(values: Mapping[str, str], partition: Mapping[str, str], needed: Iterable[Mapping[str, str]]) -> bool:
    """Whether a file with these partition values may; what is not written as the table says tells nothing."""
    said = {column: spelled(form, values[column]) for column, form in partition.items() if column in values}
    return any(all(value in (None, one[column]) for column, value in said.items()) for one in needed)


def _values(path: Path) -> dict[str, str]:
    """The partition values that a path like `year=2023/month=07/x.parquet` says."""
    named = (part.partition("=") for part in path.parts[:-1])
    return {name: unquote(value) for name, equals, value in named if equals}


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
