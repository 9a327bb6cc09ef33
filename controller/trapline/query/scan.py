"""One scan of the embedded engine: the columns and rows that are wanted, and rows made whole again."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from trapline.detection.inference.predicate import paths
from trapline.query import sql
from trapline.query.connection import BATCH_ROWS, errors_explained, reader
from trapline.query.cover import rows_of
from trapline.query.engine import Part, QueryError, ScanBatch, ScanRequest, Wanted
from trapline.query.files import size
from trapline.query.outcomes import ANY, NONE
from trapline.query.pruning import Pruned, prune
from trapline.query.where import to_duckdb
from trapline.settings import TableSettings

BATCH_BYTES = 8 * 2**20
AUDIT_BLOCK_BITS = 8
"""A block of the audit is 2 to the power of this many rows of a file."""

_POSITION = ("file_index", "file_row_number")


@dataclass(frozen=True, slots=True)
class Source:
    """Files of a table, as SQL names them."""

    table: TableSettings
    files: tuple[Path, ...]

    def read(self, files: Sequence[Path] | None = None) -> str:
        """The table function that reads all of the files, or these."""
        names = ", ".join(sql.string(str(path)) for path in files or self.files)
        hive = "true" if self.table.partition else "false"
        return f"read_parquet([{names}], hive_partitioning = {hive}, union_by_name = true)"

    def columns(self, alias: str) -> str:
        # The partition columns are how the lake is stored, not part of a record.
        names = ", ".join(map(sql.name, self.table.partition))
        exclude = f" EXCLUDE ({names})" if names else ""
        return f"{sql.name(alias)}.*{exclude}"

    def schema(self, connection: duckdb.DuckDBPyConnection) -> pa.Schema:
        if not self.files:
            return pa.schema([])
        return reader(connection, f"SELECT {self.columns('t')} FROM {self.read()} AS t LIMIT 0").schema


class DuckDBScan:
    """One scan. Its rows are found again by their place in the files, so these must stay as they are until its end."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: Source, request: ScanRequest, wanted: Wanted
    ) -> None:
        self.query_id = f"duckdb-{uuid.uuid4().hex[:16]}"
        self._connection = connection
        self._source = source
        self._request = request
        self._states = {path: _state(path) for path in source.files}
        self.schema = source.schema(connection)
        taken = [*self.schema.names, *source.table.partition]
        if {"file_index", "file_row_number", "filename"} & {name.lower() for name in taken}:
            wanted = Wanted(parts=tuple(Part(where=where) for where in (None, *wanted.wheres)))  # these hide the place
        self._wanted = wanted
        self._alias = sql.unused("t", taken)  # a column of this name would make t.x ambiguous
        self._audited = sql.unused("audited", taken)
        self._order = sql.unused("asked", [*taken, *_POSITION])
        self._pruned = None if wanted.reads is None else prune(self.schema, wanted.reads)
        self._conditions = {where: to_duckdb(where) for where in wanted.wheres}
        self._marks = {where: sql.unused(f"where{at}", taken) for at, where in enumerate(wanted.wheres)}
        self._rows = rows_of(wanted.parts, self.schema, spelled=self._conditions, unnested=True)
        self._block = _audit_block(wanted.audit, self._file_index())

    @property
    def statement(self) -> str:
        columns = self._pruned.columns if self._pruned else [self._source.columns(self._alias)]
        return self._query(columns, sql.name(self._request.table))

    @property
    def queries(self) -> int:
        return 1

    def cancel(self) -> None:
        self._connection.interrupt()

    @property
    def bytes_scanned(self) -> int:
        """The files' size; for a pruned scan that of the columns it asks for, without those of `where`."""
        if self._wanted.reads is None:
            return size(self._source.files)
        looked_at = {path for part in self._wanted.parts for path in paths(part.predicate)}
        return size(
            self._source.files,
            {(self._source.table.time,), *looked_at, *(read.path for read in self._wanted.reads)},
        )

    def batches(self) -> Iterator[ScanBatch]:
        if not self._source.files or (self._rows == NONE and not self._block):
            return
        answer = reader(self._connection, self._query(self._columns(), self._source.read()))
        with errors_explained():
            for batch in _coalesced(answer):
                yield self._split(batch)
        for path in self._source.files:
            self._check(path)

    def whole(self, positions: pa.RecordBatch) -> pa.RecordBatch:
        wanted = pa.Table.from_batches([positions])
        if not wanted.num_rows:
            return _empty(self.schema)
        wanted = wanted.append_column(self._order, pa.array(range(wanted.num_rows), pa.int64()))
        parts = []
        for index in wanted["file_index"].unique().to_pylist():
            path = self._source.files[index]
            self._check(path)
            parts.append(
                f"SELECT {self._source.columns(self._alias)}, w.{sql.name(self._order)} "
                f"FROM {self._source.read([path])} AS {sql.name(self._alias)} "
                f"JOIN (SELECT * FROM wanted WHERE file_index = {index}) AS w USING (file_row_number)"
            )
        with self._connection.cursor() as cursor:
            # The types are those of all files together, also where these files have others or lack a column.
            cursor.register("shape", _empty(self.schema))
            cursor.register("wanted", wanted)
            query = " UNION ALL BY NAME ".join(["SELECT * FROM shape", *parts])
            found = reader(cursor, query).read_all()
        if found.num_rows != wanted.num_rows:
            raise _changed(f"{wanted.num_rows - found.num_rows} rows are no longer there")
        with errors_explained():  # more than 2 GiB of one column do not fit
            return pa.concat_batches(found.sort_by(self._order).select(self.schema.names).to_batches())

    def count(self) -> int:
        if not self._source.files:
            return 0
        with self._connection.cursor() as cursor:
            query = f"SELECT count(*) AS count FROM {self._source.read()} WHERE {self._window()}"
            count: int = reader(cursor, query).read_all()["count"][0].as_py()
        return count

    def _query(self, columns: Iterable[str], relation: str) -> str:
        conditions = [self._window()]
        if self._rows != ANY:
            conditions.append("(" + " OR ".join(filter(None, [self._rows, self._block])) + ")")
        alias = sql.name(self._alias)
        return f"SELECT {', '.join(columns)} FROM {relation} AS {alias} WHERE {' AND '.join(conditions)}"

    def _columns(self) -> Iterator[str]:
        if self._pruned is None:
            yield self._source.columns(self._alias)
        else:
            yield from self._pruned.columns
            yield f"CAST({self._file_index()} AS INTEGER) AS file_index"
            yield "CAST(file_row_number AS BIGINT) AS file_row_number"
        if self._block:
            yield f"{self._block} AS {sql.name(self._audited)}"
        for where, condition in self._conditions.items():
            yield f"coalesce(({condition}), FALSE) AS {sql.name(self._marks[where])}"

    def _window(self) -> str:
        time, window = sql.name(self._source.table.time), self._request.window
        return f"{time} >= {sql.instant(window.start)} AND {time} < {sql.instant(window.end)}"

    def _file_index(self) -> str:
        """Which of the files a row is in: DuckDB counts those alone that a `where` on the partition leaves."""
        if not self._source.table.partition or not self._wanted.wheres:
            return "file_index"
        names = ", ".join(sql.string(str(path)) for path in self._source.files)
        return f"list_position([{names}], filename) - 1"

    def _split(self, batch: pa.RecordBatch) -> ScanBatch:
        """The columns of records, and those that are about them."""
        audited = batch.column(self._audited) if self._block else None
        where = {condition: batch.column(mark) for condition, mark in self._marks.items()}
        if self._pruned is None:
            return ScanBatch(batch.select(self.schema.names), None, audited, where)
        return ScanBatch(_marked(batch, self._pruned), batch.select(_POSITION), audited, where)

    def _check(self, path: Path) -> None:
        if self._states[path] != _state(path):
            raise _changed(f"{path} is not the file that it was")


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _marked(batch: pa.RecordBatch, pruned: Pruned) -> pa.RecordBatch:
    """The pruned records, whose structs say what is not known of them. No buffer is copied."""
    columns = batch.select(pruned.schema.names)
    return columns.cast(pruned.schema) if pruned.schema.names else columns


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written anew; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _changed(what: str) -> QueryError:
    return QueryError(
        "changed",
        f"the table changed while it was read: {what}",
        remedy="nothing, its window is read again; write new files beside the old ones instead of over them",
    )


def _audit_block(share: float, file_index: str) -> str:
    """The condition that a row is in a block that was chosen; empty where none is."""
    if share <= 0:
        return ""
    chosen = f"hash({file_index}, file_row_number >> {AUDIT_BLOCK_BITS}, {secrets.randbits(60)})"
    return f"{chosen} % 1000000 < {round(share * 1_000_000)}"


def _coalesced(answer: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Batches of a good size: DuckDB gives small ones where a table has many small files, and each has its price."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in answer:
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= BATCH_ROWS or size >= BATCH_BYTES:
            yield from _combined(held)
            held, rows, size = [], 0, 0
    if rows:
        yield from _combined(held)


def _combined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return batches if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()
