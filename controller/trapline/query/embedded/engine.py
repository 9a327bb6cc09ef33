"""The embedded engine: DuckDB over folders of Parquet files, one folder a table, and over Iceberg tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from trapline.query import sql
from trapline.query.connection import connect, reader
from trapline.query.embedded.files import Folder, Source
from trapline.query.embedded.scan import DuckDBScan
from trapline.query.engine import EVERYTHING, QueryError, Scan, ScanRequest, Wanted
from trapline.settings import TableSettings
from trapline.window import Window

if TYPE_CHECKING:
    from trapline.query.embedded.iceberg import Catalogs


class DuckDBEngine:
    """Reads the tables of one lake. Each scan has a connection of its own, so that scans run side by side."""

    def __init__(
        self,
        tables: Mapping[str, TableSettings],
        *,
        home: Path,
        catalogs: Mapping[str, Mapping[str, Any]] | None = None,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        """`catalogs` are those of the Iceberg tables; the secrets that they name are looked up in `env`."""
        self._tables = tables
        self._home = home
        self._catalogs = catalogs or {}
        self._env = env
        self._lock = Lock()
        self._iceberg: Catalogs | None = None

    @contextmanager
    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> Iterator[Scan]:
        source = self._source(request.table, request.window)
        with connect(wide=wanted.reads is None or not source.placed) as connection:
            yield DuckDBScan(connection, source, request, wanted)

    def schema(self, table: str) -> pa.Schema:
        settings = self._table(table)
        with connect() as connection:
            if settings.iceberg:
                return self._of_catalogs().shape(settings).attach(connection)
            return Folder(self._folder(settings), settings).shape(connection)

    def latest(self, table: str) -> datetime | None:
        settings = self._table(table)
        if settings.iceberg and (latest := self._of_catalogs().latest(settings)):
            return latest
        source = self._source(table)
        if not source.files:
            return None
        with connect() as connection:
            source.attach(connection)
            query = f"SELECT max({sql.name(source.time)}) AS latest FROM {source.read()}"
            found: datetime | None = reader(connection, query).read_all()["latest"][0].as_py()
        return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found

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

    def _source(self, name: str, window: Window | None = None) -> Source:
        """What the table is made of, or as much of it as a window needs."""
        table = self._table(name)
        if table.iceberg:
            return self._of_catalogs().source(table, window)
        return Folder(self._folder(table), table, window)

    def _of_catalogs(self) -> Catalogs:
        from trapline.query.embedded.iceberg import Catalogs  # PyIceberg takes long to load

        with self._lock:
            if self._iceberg is None:
                self._iceberg = Catalogs(self._catalogs, home=self._home, env=self._env)
            return self._iceberg

    def _folder(self, table: TableSettings) -> Path:
        folder = self._home / (table.path or "")
        if not folder.is_dir():
            raise QueryError(
                "table-missing",
                f"the table's folder {folder} does not exist",
                remedy="correct its path: in trapline.yml, or fill it, for example with `trapline tables import`",
            )
        return folder
