"""The lake: every table behind the engine that its entry in trapline.yml names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from threading import Lock

import pyarrow as pa

from trapline.clock import Clock
from trapline.query.embedded.engine import DuckDBEngine
from trapline.query.engine import EVERYTHING, Engine, Scan, ScanRequest, Wanted
from trapline.settings import Settings, TableSettings


class Lake:
    """All tables of the settings as one engine. Thread-safe; Athena is first spoken to when a table of its is read."""

    def __init__(self, settings: Settings, *, home: Path, scope: str, now: Clock) -> None:
        """`scope` names the home among all that share an account."""
        self._settings = settings
        self._scope = scope
        self._now = now
        self._duckdb = DuckDBEngine(self._tables("duckdb"), home=home, catalogs=settings.catalogs)
        self._athena: Engine | None = None
        self._lock = Lock()

    def is_of(self, settings: Settings) -> bool:
        """Whether these settings have the same tables, reached in the same way."""
        ours = self._settings
        return (ours.tables, ours.athena, ours.catalogs) == (settings.tables, settings.athena, settings.catalogs)

    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> AbstractContextManager[Scan]:
        return self._of(request.table).scan(request, wanted)

    def schema(self, table: str) -> pa.Schema:
        return self._of(table).schema(table)

    def latest(self, table: str) -> datetime | None:
        return self._of(table).latest(table)

    def estimate(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> int | None:
        return self._of(request.table).estimate(request, wanted)

    def remote(self, table: str) -> bool:
        return self._of(table).remote(table)

    def close(self) -> None:
        with self._lock:
            engines = [self._duckdb, *([self._athena] if self._athena else [])]
        for engine in engines:
            engine.close()

    def _of(self, table: str) -> Engine:
        settings = self._settings.tables.get(table)
        return self._duckdb if settings is None or settings.engine == "duckdb" else self._account()

    def _account(self) -> Engine:
        from trapline.query.athena.engine import AthenaEngine  # boto3 takes long to load

        with self._lock:
            if self._athena is None:
                assert self._settings.athena is not None  # the settings were checked for it
                tables = self._tables("athena")
                self._athena = AthenaEngine(self._settings.athena, tables, home=self._scope, now=self._now)
            return self._athena

    def _tables(self, engine: str) -> Mapping[str, TableSettings]:
        return {name: table for name, table in self._settings.tables.items() if table.engine == engine}
