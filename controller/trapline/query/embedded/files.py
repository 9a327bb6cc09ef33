"""The files of an embedded table: which of them a window needs, how SQL reads them, and how much that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from trapline.query import sql
from trapline.query.connection import reader
from trapline.query.engine import QueryError
from trapline.query.partitions import spelled, touched
from trapline.settings import TableSettings
from trapline.window import Window

PLACE = (pa.field("file_index", pa.int32()), pa.field("file_row_number", pa.int64()))
"""Where a row lies. What is not read from files by DuckDB has these columns of its own."""


class Source(Protocol):
    """Files of a table, as SQL reads them."""

    files: Sequence[str]
    """Their names, for people and for SQL."""

    hidden: Collection[str]
    """The columns that tell how the lake is stored, and are no part of a record."""

    time: str
    """The column with a record's time."""

    placed: bool
    """Whether a row is found again by its file and its number in that: `file_index` and `file_row_number`."""

    version: str
    """What of the table is read, where it has versions; part of the query's id."""

    def attach(self, connection: duckdb.DuckDBPyConnection) -> pa.Schema:
        """Lets a connection read the files, and says the schema of whole records."""
        ...

    def read(self, files: Sequence[str] | None = None) -> str:
        """The table function that reads all of the files, or these."""
        ...

    def columns(self, alias: str) -> str:
        """The columns of whole records, out of what `read` reads under that name."""
        ...

    def size(self, columns: Collection[tuple[str, ...]] | None = None) -> int:
        """The bytes of the files; where columns are given, of these alone, with all that is below them."""
        ...

    def count(self) -> int | None:
        """How many records there were, where the source itself leaves out those beyond the window."""
        ...

    def verify(self, files: Sequence[str] | None = None) -> None:
        """Raises QueryError `changed` where one of the files, or of these, is not what it was any more."""
        ...


class Folder:
    """The Parquet files of a folder, or those of its partitions that a window needs."""

    placed = True
    version = ""

    def __init__(self, folder: Path, settings: TableSettings, window: Window | None = None) -> None:
        self.time = settings.time
        self.hidden: Collection[str] = tuple(settings.partition)
        self._paths = files_of_window(folder, settings.partition, window) if window else parquet_files(folder)
        self.files: Sequence[str] = [str(path) for path in self._paths]
        self._states = {str(path): _state(path) for path in self._paths}

    def attach(self, connection: duckdb.DuckDBPyConnection) -> pa.Schema:
        if not self.files:
            return pa.schema([])
        return self._schema(connection, self.files)

    def shape(self, connection: duckdb.DuckDBPyConnection) -> pa.Schema:
        """The schema of whole records; where a file is broken, as the others tell it. A scan still names that file."""
        try:
            return self.attach(connection)
        except QueryError:
            whole = [str(path) for path in self._paths if _is_whole(path)]
            if not whole or len(whole) == len(self.files):
                raise
        return self._schema(connection, whole)

    def _schema(self, connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> pa.Schema:
        return reader(connection, f"SELECT {self.columns('t')} FROM {self.read(files)} AS t LIMIT 0").schema

    def read(self, files: Sequence[str] | None = None) -> str:
        names = ", ".join(map(sql.string, files or self.files))
        hive = "true" if self.hidden else "false"
        return f"read_parquet([{names}], hive_partitioning = {hive}, union_by_name = true)"

    def columns(self, alias: str) -> str:
        names = ", ".join(map(sql.name, self.hidden))
        exclude = f" EXCLUDE ({names})" if names else ""
        return f"{sql.name(alias)}.*{exclude}"

    def size(self, columns: Collection[tuple[str, ...]] | None = None) -> int:
        return size(self._paths, columns)

    def count(self) -> int | None:
        return None

    def verify(self, files: Sequence[str] | None = None) -> None:
        for file in self.files if files is None else files:
            if _state(Path(file)) != self._states[file]:
                raise changed(f"{file} is not the file that it was")


def changed(what: str, *, remedy: str = "write new files beside the old ones instead of over them") -> QueryError:
    """The table is not what the scan began with; `remedy` says how that can be kept from happening."""
    return QueryError(
        "changed",
        f"the table changed while it was read: {what}",
        remedy=f"nothing, its window is read again; {remedy}",
    )


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


def _is_whole(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False
    return True


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written anew; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def size(files: Iterable[Path], columns: Collection[tuple[str, ...]] | None = None) -> int:
    """The bytes of the files; where columns are given, of these alone, with all that is below them."""
    if columns is None:
        return sum(path.stat().st_size for path in files)
    return sum(_size(path, below(columns)) for path in files)


def below(columns: Collection[tuple[str, ...]]) -> tuple[str, ...]:
    """How `name.` begins, of each leaf that is one of the columns or inside it, in small letters."""
    return tuple({f"{'.'.join(column)}.".lower() for column in columns})


def _size(path: Path, prefixes: tuple[str, ...]) -> int:
    metadata = pq.read_metadata(path)
    leaves = [metadata.schema.column(at).path.lower() for at in range(metadata.num_columns)]
    read = [at for at, leaf in enumerate(leaves) if f"{leaf}.".startswith(prefixes)]
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return sum(group.column(at).total_compressed_size for group in groups for at in read)
