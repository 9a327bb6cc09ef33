"""One scan of the embedded engine: the columns and rows that are wanted, and rows made whole again."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import duckdb
import pyarrow as pa

from trapline.detection.inference.predicate import paths
from trapline.query import sql
from trapline.query.batches import coalesced
from trapline.query.connection import connect, errors_explained, reader
from trapline.query.cover import rows_of
from trapline.query.embedded.files import Source, changed
from trapline.query.engine import Part, QueryError, ScanBatch, ScanRequest, Wanted
from trapline.query.outcomes import ANY, NONE
from trapline.query.pruning import Pruned, prune
from trapline.query.where import to_duckdb

AUDIT_BLOCK_BITS = 8
"""A block of the audit is 2 to the power of this many rows of a file."""

_MANY = 2_000
"""So many rows are worth to be fetched in less memory, and more slowly."""

_POSITION = ("file_index", "file_row_number")


class DuckDBScan:
    """One scan. Its rows are found again by their place in the files, so these must stay as they are until its end."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: Source, request: ScanRequest, wanted: Wanted
    ) -> None:
        self.query_id = f"duckdb-{uuid.uuid4().hex[:16]}{source.version}"
        self._connection = connection
        self._source = source
        self._request = request
        self.schema = source.attach(connection)
        taken = [*self.schema.names, *source.hidden]
        if not source.placed:
            wanted = replace(wanted, reads=None)  # a row that cannot be found again comes whole
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
            return self._source.size()
        looked_at = {path for part in self._wanted.parts for path in paths(part.predicate)}
        return self._source.size({(self._source.time,), *looked_at, *(read.path for read in self._wanted.reads)})

    def batches(self) -> Iterator[ScanBatch]:
        if not self._source.files or (self._rows == NONE and not self._block):
            return
        with self._verified(), errors_explained():
            answer = reader(self._connection, self._query(self._columns(), self._source.read()))
            for batch in coalesced(answer):
                yield self._split(batch)

    def whole(self, positions: pa.RecordBatch) -> pa.RecordBatch:
        wanted = pa.Table.from_batches([positions])
        if not wanted.num_rows:
            return _empty(self.schema)
        wanted = wanted.append_column(self._order, pa.array(range(wanted.num_rows), pa.int64()))
        files = {index: self._source.files[index] for index in wanted["file_index"].unique().to_pylist()}
        parts = [
            f"SELECT {self._source.columns(self._alias)}, w.{sql.name(self._order)} "
            f"FROM {self._source.read([file])} AS {sql.name(self._alias)} "
            f"JOIN (SELECT * FROM wanted WHERE file_index = {index}) AS w USING (file_row_number)"
            for index, file in files.items()
        ]
        with self._verified(list(files.values())), self._fetching(wanted.num_rows) as cursor:
            # The types are those of all files together, also where these files have others or lack a column.
            cursor.register("shape", _empty(self.schema))
            cursor.register("wanted", wanted)
            query = " UNION ALL BY NAME ".join(["SELECT * FROM shape", *parts])
            found = reader(cursor, query).read_all()
        if found.num_rows != wanted.num_rows:
            raise changed(f"{wanted.num_rows - found.num_rows} rows are no longer there")
        with errors_explained():  # more than 2 GiB of one column do not fit
            return pa.concat_batches(found.sort_by(self._order).select(self.schema.names).to_batches())

    @contextmanager
    def _fetching(self, rows: int) -> Iterator[duckdb.DuckDBPyConnection]:
        """What fetches so many rows: another database where they are many, which unpacks one row group at a time."""
        if rows < _MANY:
            with self._connection.cursor() as cursor:
                yield cursor
        else:
            with connect(wide=True) as connection:
                self._source.attach(connection)
                yield connection

    def count(self) -> int:
        if not self._source.files:
            return 0
        if (known := self._source.count()) is not None:
            return known
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
        time, window = sql.name(self._source.time), self._request.window
        return f"{time} >= {sql.instant(window.start)} AND {time} < {sql.instant(window.end)}"

    def _file_index(self) -> str:
        """Which of the files a row is in: DuckDB counts those alone that a `where` on the partition leaves."""
        if not self._source.hidden or not self._wanted.wheres:
            return "file_index"
        names = ", ".join(map(sql.string, self._source.files))
        return f"list_position([{names}], filename) - 1"

    def _split(self, batch: pa.RecordBatch) -> ScanBatch:
        """The columns of records, and those that are about them."""
        audited = batch.column(self._audited) if self._block else None
        where = {condition: batch.column(mark) for condition, mark in self._marks.items()}
        if self._pruned is None:
            return ScanBatch(batch.select(self.schema.names), None, audited, where)
        return ScanBatch(_marked(batch, self._pruned), batch.select(_POSITION), audited, where)

    @contextmanager
    def _verified(self, files: Sequence[str] | None = None) -> Iterator[None]:
        """Around reading: whether the files stayed what they were is seen afterwards, and may be why it failed."""
        try:
            yield
        except QueryError:
            self._source.verify(files)
            raise
        self._source.verify(files)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _marked(batch: pa.RecordBatch, pruned: Pruned) -> pa.RecordBatch:
    """The pruned records, whose structs say what is not known of them. No buffer is copied."""
    columns = batch.select(pruned.schema.names)
    return columns.cast(pruned.schema) if pruned.schema.names else columns


def _audit_block(share: float, file_index: str) -> str:
    """The condition that a row is in a block that was chosen; empty where none is."""
    if share <= 0:
        return ""
    chosen = f"hash({file_index}, file_row_number >> {AUDIT_BLOCK_BITS}, {secrets.randbits(60)})"
    return f"{chosen} % 1000000 < {round(share * 1_000_000)}"
