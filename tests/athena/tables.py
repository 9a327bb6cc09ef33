"""What a query reads: the files that are left of its tables, the bytes of them that count, and views over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as File

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.athena.bind import PATH, Look, Path
from tests.athena.catalog import Column, duckdb_type
from tests.athena.errors import failed
from tests.athena.objects import Objects
from tests.athena.prune import Range, may_hold, partitions


@dataclass(frozen=True, slots=True)
class Part:
    """A file to read: a copy of an object, and the values of the partition that it is in."""

    file: File
    address: str
    values: tuple[str, ...]


def parts_of(look: Look, objects: Objects, connection: duckdb.DuckDBPyConnection) -> list[Part]:
    """The files of the partitions that are left. Bytes of a partition that is ruled out are never read."""
    if look.table.files is not None:
        return [Part(objects.file(address), address, ()) for address in look.table.files]
    return [
        Part(objects.file(address), address, partition.values)
        for partition in partitions(look, connection)
        for address in objects.below(partition.location)
    ]


def scanned(look: Look, parts: Sequence[Part]) -> int:
    """Bytes as Athena counts them: what is stored of the columns asked for, in row groups that may hold a row.

    Of JSON all is read. The least that AWS bills for a query, 10 MB, is no part of this number in Athena either.
    """
    if look.table.format == "json":
        return sum(part.file.stat().st_size for part in parts)
    return sum(_bytes_of_file(look, part.file) for part in parts)


def _bytes_of_file(look: Look, file: File) -> int:
    footer = _footer(file)
    groups = (footer.row_group(number) for number in range(footer.num_row_groups))
    return sum(_bytes_of_group(look, _chunks(group)) for group in groups)


def _bytes_of_group(look: Look, chunks: Mapping[Path, pq.ColumnChunkMetaData]) -> int:
    def range_of(path: Path) -> Range | None:
        chunk = chunks.get(path)
        statistics = chunk.statistics if chunk is not None else None
        return (statistics.min, statistics.max) if statistics is not None and statistics.has_min_max else None

    if not may_hold(look.condition, range_of):
        return 0
    return sum(
        chunk.total_compressed_size
        for path, chunk in chunks.items()
        if any(path[: len(wanted)] == wanted for wanted in look.columns)
    )


def _chunks(group: pq.RowGroupMetaData) -> dict[Path, pq.ColumnChunkMetaData]:
    columns = (group.column(number) for number in range(group.num_columns))
    return {tuple(column.path_in_schema.lower().split(".")): column for column in columns}


@lru_cache(maxsize=10_000)
def _footer(file: File) -> pq.FileMetaData:
    try:
        return pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise failed("HIVE_BAD_DATA", f"Malformed Parquet file. {error}") from error


def create_view(look: Look, parts: Sequence[Part], connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the look's name a view with the columns that Glue declares, in their types."""
    table = look.table
    if not parts:
        columns = [_null(column) for column in table.visible] + [f'CAST(NULL AS VARCHAR) AS "{PATH}"']
        connection.execute(f"CREATE VIEW {look.name} AS SELECT {', '.join(columns)} WHERE false")
        return
    source = _source(look, [str(part.file) for part in parts])
    held = {name.lower() for (name, *_) in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    columns = [_typed(column) if column.name in held else _null(column) for column in table.columns]
    if table.keys or look.wants_path:
        keys = {f"key_{place}": [part.values[place] for part in parts] for place in range(len(table.keys))}
        files = {"file": [str(part.file) for part in parts], "address": [part.address for part in parts], **keys}
        connection.register(f"{look.name}_files", pa.table(files))
        columns += [f"{_cast(f'key_{number}', key)}" for number, key in enumerate(table.keys)]
        columns.append(f'address AS "{PATH}"')
        source += f" AS rows JOIN {look.name}_files AS files ON rows.file_ = files.file"
    connection.execute(f"CREATE VIEW {look.name} AS SELECT {', '.join(columns)} FROM {source}")


def _source(look: Look, files: Sequence[str]) -> str:
    listed = ", ".join(_quoted(file) for file in files)
    if look.table.format == "parquet":
        return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false, filename = 'file_')"
    columns = ", ".join(f"{_quoted(column.name)}: {_quoted(duckdb_type(column.type))}" for column in look.table.columns)
    return (
        f"read_json([{listed}], format = 'newline_delimited', columns = {{{columns}}}, "
        "hive_partitioning = false, filename = 'file_')"
    )


def _typed(column: Column) -> str:
    return _cast(f'"{column.name}"', column)


def _cast(value: str, column: Column) -> str:
    return f'CAST({value} AS {duckdb_type(column.type)}) AS "{column.name}"'


def _null(column: Column) -> str:
    return _cast("NULL", column)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
