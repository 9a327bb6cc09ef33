"""The embedded engine: DuckDB over folders of Parquet files, one folder a table, optionally partitioned by day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from trapline.query import sql
from trapline.query.connection import connect, reader
from trapline.query.engine import EVERYTHING, QueryError, Scan, ScanRequest, Wanted
from trapline.query.files import files_of_window, parquet_files
from trapline.query.scan import DuckDBScan, Source
from trapline.settings import TableSettings


class DuckDBEngine:
    """Reads the tables of one lake. Each scan has a connection of its own, so that scans run side by side."""

    def __init__(self, tables: Mapping[str, TableSettings], *, home: Path) -> None:
        self._tables = tables
        self._home = home

    @contextmanager
    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> Iterator[Scan]:
        table = self._table(request.table)
        files = files_of_window(self._folder(table), table.partition, request.window)
        with connect(wide=wanted.reads is None) as connection:
            yield DuckDBScan(connection, Source(table, tuple(files)), request, wanted)

    def schema(self, table: str) -> pa.Schema:
        settings = self._table(table)
        with connect() as connection:
            return Source(settings, tuple(parquet_files(self._folder(settings)))).schema(connection)

    def latest(self, table: str) -> datetime | None:
        settings = self._table(table)
        source = Source(settings, tuple(parquet_files(self._folder(settings))))
        if not source.files:
            return None
        with connect() as connection:
            query = f"SELECT max({sql.name(settings.time)}) AS latest FROM {source.read()}"
            latest: datetime | None = reader(connection, query).read_all()["latest"][0].as_py()
        return latest.replace(tzinfo=UTC) if latest and latest.tzinfo is None else latest

    def estimate(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> int | None:
        with self.scan(request, wanted) as scan:
            return scan.bytes_scanned

    def remote(self, table: str) -> bool:
        return False

    def close(self) -> None:
        """Each scan ends its own connection."""

    def _table(self, name: str) -> TableSettings:
        try:
            return self._tables[name]
        except KeyError:
            raise QueryError(
                "table-missing", f"there is no table {name!r}", remedy="add it under tables: in trapline.yml"
            ) from None

    def _folder(self, table: TableSettings) -> Path:
        folder = self._home / (table.path or "")
        if not folder.is_dir():
            raise QueryError(
                "table-missing",
                f"the table's folder {folder} does not exist",
                remedy="correct its path: in trapline.yml, or fill it, for example with `trapline tables import`",
            )
        return folder
