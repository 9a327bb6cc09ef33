"""The embedded engine: DuckDB over folders of Parquet files, one folder a table, optionally partitioned by day."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from trapline.query.engine import QueryError, Scan, ScanRequest
from trapline.settings import TableSettings
from trapline.window import Window

BATCH_ROWS = 65_536


class DuckDBEngine:
    """Reads the tables of one lake. Each scan has a connection of its own, so that scans run side by side."""

    def __init__(self, tables: Mapping[str, TableSettings], *, home: Path) -> None:
        self._tables = tables
        self._home = home

    @contextmanager
    def scan(self, request: ScanRequest) -> Iterator[Scan]:
        table = self._table(request.table)
        files = _files_of_window(self._folder(table), table.partition, request.window)
        with _connect() as connection:
            yield _DuckDBScan(connection, _select(table, files, request), sum(path.stat().st_size for path in files))

    def schema(self, table: str) -> pa.Schema:
        settings = self._table(table)
        files = _parquet_files(self._folder(settings))
        if not files:
            return pa.schema([])
        with _connect() as connection:
            return _reader(connection, f"{_from(settings, files)} LIMIT 0").schema

    def latest(self, table: str) -> datetime | None:
        settings = self._table(table)
        files = _parquet_files(self._folder(settings))
        if not files:
            return None
        query = f"SELECT max({_quote(settings.time)}) AS latest FROM ({_from(settings, files)})"
        with _connect() as connection:
            latest: datetime | None = _reader(connection, query).read_all()["latest"][0].as_py()
        return latest.replace(tzinfo=UTC) if latest and latest.tzinfo is None else latest

    def _table(self, name: str) -> TableSettings:
        try:
            return self._tables[name]
        except KeyError:
            raise QueryError(
                "table-missing", f"there is no table {name!r}", remedy="add it under tables: in trapline.yml"
            ) from None

    def _folder(self, table: TableSettings) -> Path:
        folder = self._home / table.path
        if not folder.is_dir():
            raise QueryError(
                "table-missing",
                f"the table's folder {folder} does not exist",
                remedy="correct its path: in trapline.yml, or fill it, for example with `trapline tables import`",
            )
        return folder


class _DuckDBScan:
    def __init__(self, connection: duckdb.DuckDBPyConnection, query: str | None, bytes_scanned: int) -> None:
        self.query_id = f"duckdb-{uuid.uuid4().hex[:16]}"
        self.bytes_scanned = bytes_scanned
        self._connection = connection
        self._query = query

    def batches(self) -> Iterator[pa.RecordBatch]:
        if self._query is None:
            return
        reader = _reader(self._connection, self._query)
        with _errors_explained():
            yield from _coalesced(reader)


@contextmanager
def _connect() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _reader(connection: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    with _errors_explained():
        return connection.sql(query).to_arrow_reader(BATCH_ROWS)


@contextmanager
def _errors_explained() -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise _query_error(error) from error
    except RuntimeError as error:
        if "interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from error  # DuckDB takes ^C for itself while a query runs


def _coalesced(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Batches of a good size: DuckDB gives small ones where a table has many small files, and each has its price."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        held.append(batch)
        rows += batch.num_rows
        if rows >= BATCH_ROWS:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held, rows = [], 0
    if rows:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _query_error(error: Exception) -> QueryError:
    message = str(error).split("\n", 1)[0]
    if isinstance(error, duckdb.BinderException):
        return QueryError("column-missing", message, remedy="check [query] where and the table's time: and partition:")
    if isinstance(error, duckdb.ParserException | duckdb.CatalogException):
        return QueryError("syntax", message, remedy="check [query] where")
    return QueryError("internal", message, remedy="check that every file of the table is whole and readable")


def _select(table: TableSettings, files: list[Path], request: ScanRequest) -> str | None:
    if not files:
        return None
    time = _quote(table.time)
    conditions = [f"{time} >= {_literal(request.window.start)}", f"{time} < {_literal(request.window.end)}"]
    if request.where is not None:
        conditions.append(f"({to_duckdb(request.where)})")
    return f"{_from(table, files)} WHERE {' AND '.join(conditions)}"


def _from(table: TableSettings, files: list[Path]) -> str:
    # The partition column is how the lake is stored, not part of a record.
    exclude = f" EXCLUDE ({_quote(table.partition)})" if table.partition else ""
    names = ", ".join(_string(str(path)) for path in files)
    hive = "true" if table.partition else "false"
    return f"SELECT *{exclude} FROM read_parquet([{names}], hive_partitioning = {hive}, union_by_name = true)"


def to_duckdb(condition: str) -> str:
    """A condition in Athena's SQL as DuckDB says it. Raises QueryError `syntax` where it is not one condition."""
    try:
        parsed = sqlglot.parse_one(condition, dialect="athena", into=exp.Condition)
    except sqlglot.errors.SqlglotError as error:
        message = str(error).split("\n", 1)[0]
        raise QueryError("syntax", f"[query] where: {message}", remedy="write one condition in Athena's SQL") from error
    return parsed.sql(dialect="duckdb")


def _parquet_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.parquet") if path.is_file())


def _files_of_window(folder: Path, partition: str | None, window: Window) -> list[Path]:
    """The files whose day can hold records of the window: pruned here, so that what is read can be counted."""
    files = _parquet_files(folder)
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


def _literal(value: datetime) -> str:
    return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
