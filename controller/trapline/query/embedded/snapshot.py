"""The files of one snapshot of an Iceberg table, as a scan reads them.

DuckDB reads them by the names of columns, which is fast, and right where names can be trusted. Where they cannot, and
where rows were deleted, PyIceberg reads them and DuckDB only looks at what comes.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # it has no types
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.manifest import DataFile, FileFormat
from pyiceberg.schema import Schema, index_by_id, index_name_by_id
from pyiceberg.table import DataScan, FileScanTask
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.name_mapping import create_mapping_from_schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import IcebergType

from trapline.query import sql
from trapline.query.connection import reader
from trapline.query.embedded.files import PLACE, below, changed

_SHAPE = "iceberg://schema.parquet"
_STREAM = "iceberg_records"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Snapshot:
    """The files of a snapshot that a scan needs, read by DuckDB.

    Before them goes a file without records that has all of the table's columns: so these have the table's order and
    types, and are there where no other file has them yet. DuckDB's own `schema =` would tell columns by their ids, but
    reads the wrong fields of a struct whose fields have changed.
    """

    placed = True
    hidden: Collection[str] = ()

    def __init__(self, time: str, scan: DataScan, tasks: Sequence[FileScanTask]) -> None:
        self.time = time
        self._scan = scan
        self._tasks = tasks
        self._schema = scan.projection()
        sizes = {_path(task.file.file_path): task.file.file_size_in_bytes for task in tasks}
        self._through = _Files(scan.io, sizes, _shape(self._schema))
        self.files: Sequence[str] = [_SHAPE, *sizes] if sizes else []
        snapshot = scan.snapshot()
        self.version = f"-snapshot-{snapshot.snapshot_id}" if snapshot else ""

    def attach(self, connection: duckdb.DuckDBPyConnection) -> pa.Schema:
        connection.register_filesystem(self._through)
        return reader(connection, f"SELECT * FROM {Snapshot.read(self, [_SHAPE])} LIMIT 0").schema

    def read(self, files: Sequence[str] | None = None) -> str:
        names = ", ".join(map(sql.string, dict.fromkeys([_SHAPE, *(files or self.files)])))
        return f"read_parquet([{names}], hive_partitioning = false, union_by_name = true)"

    def columns(self, alias: str) -> str:
        return ", ".join(sql.dotted([alias, name]) for name in _names(self._schema))  # files may have dropped ones too

    def size(self, columns: Collection[tuple[str, ...]] | None = None) -> int:
        ids = None
        if columns is not None:
            prefixes = below(columns)
            names = index_name_by_id(self._schema)
            ids = {field for field, name in names.items() if f"{name}.".lower().startswith(prefixes)}
        return sum(_size(task.file, ids) for task in self._tasks)

    def count(self) -> int | None:
        return None

    def verify(self, files: Sequence[str] | None = None) -> None:
        local = (file for file in (self.files if files is None else files) if "://" not in file)
        for file in (*self._through.missing, *(file for file in local if not Path(file).exists())):
            raise changed(f"{file} is gone", remedy="keep its snapshots for longer than a scan takes")


class Streamed(Snapshot):
    """The same, read by PyIceberg: once, by the ids of columns, without the rows that were deleted."""

    placed = False
    _read = 0

    def attach(self, connection: duckdb.DuckDBPyConnection) -> pa.Schema:
        schema = super().attach(connection)
        taken = {name.lower() for name in _names(self._schema)}
        place = [field for field in PLACE if field.name not in taken]
        wide = pa.schema([*schema_to_pyarrow(self._schema, include_field_ids=False), *place])
        connection.register(_STREAM, pa.RecordBatchReader.from_batches(wide, self._batches(wide)))
        return schema

    def read(self, files: Sequence[str] | None = None) -> str:
        return _STREAM

    def size(self, columns: Collection[tuple[str, ...]] | None = None) -> int:
        deletes = {file.file_path: file for task in self._tasks for file in task.delete_files}
        return super().size() + sum(file.file_size_in_bytes for file in deletes.values())

    def count(self) -> int | None:
        return self._read

    def _batches(self, wide: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The records of the window, each with its place."""
        scan = self._scan
        arrow = ArrowScan(scan.table_metadata, scan.io, self._schema, scan.row_filter)
        for index, task in enumerate(self._tasks):  # one after the other: PyIceberg holds what it is given whole
            with self._through.watched(task.file.file_path):
                batches = list(arrow.to_record_batches([task]))
            for batch in batches:
                numbers = pa.array(range(self._read, self._read + batch.num_rows), pa.int64())
                place = {"file_index": pa.repeat(pa.scalar(index, pa.int32()), len(batch)), "file_row_number": numbers}
                columns = [batch.column(n) if n in batch.schema.names else place[n] for n in wide.names]
                self._read += batch.num_rows
                yield pa.RecordBatch.from_arrays(
                    [column.cast(field.type) for column, field in zip(columns, wide, strict=True)], schema=wide
                )


def readable_by_name(metadata: TableMetadata, tasks: Sequence[FileScanTask]) -> bool:
    """Whether DuckDB gets the same from the files as PyIceberg does."""
    plain = all(task.file.file_format == FileFormat.PARQUET and not task.delete_files for task in tasks)
    return plain and _names_hold(metadata) and _names_are_written(metadata)


def _names_hold(metadata: TableMetadata) -> bool:
    """Whether every name always meant the same column, of the same type, and no struct has lost a field.

    Files keep the names of the day they were written. A schema that is not known any more may have said anything.
    """
    known = {schema.schema_id for schema in metadata.schemas}
    now = _columns(metadata.schema())
    ever = now.union(*map(_columns, metadata.schemas))
    as_meant = len(ever) == len({field for field, _, _ in ever}) == len({name.lower() for _, name, _ in ever})
    roots = {name.partition(".")[0] for _, name, _ in now}
    lost = any(name.partition(".")[0] in roots for _, name, _ in ever - now)
    return known == set(range(len(known))) and as_meant and not lost


def _columns(schema: Schema) -> set[tuple[int, str, str]]:
    """Each column and each that is inside another: its id, its name and its type."""
    names = index_name_by_id(schema)
    return {(field.field_id, names[field.field_id], _kind(field.field_type)) for field in index_by_id(schema).values()}


def _kind(column: IcebergType) -> str:
    return str(column) if column.is_primitive else type(column).__name__


def _names_are_written(metadata: TableMetadata) -> bool:
    """Whether no file calls a column otherwise, or has none because the partition says its value.

    Both can be so of files that were not written for Iceberg but added to it, for which a table has a name mapping.
    """
    mapping = metadata.name_mapping()
    if mapping is None:
        return True
    identity = any(
        isinstance(field.transform, IdentityTransform) for spec in metadata.partition_specs for field in spec.fields
    )
    return not identity and mapping == create_mapping_from_schema(metadata.schema())


def _names(schema: Schema) -> list[str]:
    return [field.name for field in schema.fields]


def _shape(schema: Schema) -> bytes:
    """A Parquet file with the columns of the table, and no records."""
    file = io.BytesIO()
    pq.write_table(schema_to_pyarrow(schema, include_field_ids=False).empty_table(), file)
    return file.getvalue()


def _size(file: DataFile, fields: Collection[int] | None) -> int:
    if fields is None or not file.column_sizes:
        return file.file_size_in_bytes
    return sum(size for field, size in file.column_sizes.items() if field in fields)


def _path(address: str) -> str:
    """A file's address as DuckDB opens it: local ones by their path."""
    return address.removeprefix("file://")


class _Files(AbstractFileSystem):  # type: ignore[misc]  # its types are not known
    """The files as DuckDB opens them where they are not local: through what PyIceberg reads its own with.

    They never change, and their sizes are known: nothing is asked about them.
    """

    cachable = False

    def __init__(self, through: FileIO, sizes: Mapping[str, int], shape: bytes) -> None:
        super().__init__()
        self.protocol = tuple({path.partition("://")[0] for path in [_SHAPE, *sizes] if "://" in path})
        self.missing: list[str] = []
        self._through = through
        self._sizes = {**sizes, _SHAPE: len(shape)}
        self._shape = shape

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> list[str]:
        return [path]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return {"name": path, "size": self._sizes[path], "type": "file"}

    def modified(self, path: str) -> datetime:
        return _LONG_AGO

    def open(self, path: str, *arguments: Any, **kwargs: Any) -> Any:
        if path == _SHAPE:
            return io.BytesIO(self._shape)
        with self.watched(path):
            return self._through.new_input(path).open()

    @contextmanager
    def watched(self, path: str) -> Iterator[None]:
        """Around the opening of a file: one that is not there is remembered."""
        try:
            yield
        except FileNotFoundError:
            self.missing.append(path)
            raise
