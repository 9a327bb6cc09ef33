"""The engine for tables in Amazon Athena."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event

import pyarrow as pa

from trapline.clock import Clock, system_clock
from trapline.query.athena.catalog import AthenaTable, Catalog
from trapline.query.athena.errors import explained
from trapline.query.athena.estimate import read_at_most
from trapline.query.athena.locations import Location
from trapline.query.athena.queries import Pace, Queries, Tally
from trapline.query.athena.scan import AthenaScan
from trapline.query.athena.session import clients
from trapline.query.athena.statement import Asking, Locate
from trapline.query.athena.store import Store
from trapline.query.engine import EVERYTHING, QueryError, ScanRequest, Wanted
from trapline.settings import AthenaSettings, TableSettings
from trapline.window import Window

log = logging.getLogger("trapline")

_LOOKS_BACK = (timedelta(days=1), timedelta(days=7), timedelta(days=30))
_SPARED = timedelta(days=1)  # what a scan wrote is left to it for so long beyond the timeout of its query
_FRESH = timedelta(minutes=5)

WORTH = 10_000_000
"""So many bytes a second query has to save: Athena takes money for no fewer."""


class AthenaEngine:
    """Reads tables through Athena. Thread-safe; scans run side by side, as many queries at once as are allowed.

    What queries write lies below `<output>trapline/<home>/`, and nothing else does: what a killed controller left there
    is removed at the first scan.
    """

    def __init__(
        self,
        settings: AthenaSettings,
        tables: Mapping[str, TableSettings],
        *,
        home: str,
        now: Clock = system_clock,
        pace: Pace | None = None,
    ) -> None:
        """`home` names this controller's home among all that share the output. Raises QueryError."""
        with explained():
            self._clients = clients(settings)
        self._settings = settings
        self._now = now
        self._catalog = Catalog(self._clients, settings, tables)
        self._store = Store(self._clients.s3)
        self._queries = Queries(self._clients.athena, settings, pace=pace or Pace())
        self._output = Location.parse(settings.output) / f"trapline/{home}/"
        self._sweep = _Once(self._remove_leftovers)
        self._ambiguous: set[str] = set()
        self._estimates: dict[tuple[ScanRequest, Wanted, Locate], tuple[datetime, int | None]] = {}
        self._stops: set[Event] = set()
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> Iterator[AthenaScan]:
        """Leaving it stops what still runs. Its query runs once the first batch is asked for."""
        self._sweep()
        table = self._catalog.table(request.table)
        with self._stoppable() as stop:
            scan = AthenaScan(
                table,
                request,
                wanted,
                queries=self._queries,
                store=self._store,
                prefix=self._output / f"{uuid.uuid4().hex}/",
                stop=stop,
                locate=self._locate(table, request, wanted),
            )
            try:
                yield scan
            finally:
                scan.close()
                if scan.ambiguous:
                    self._ambiguous.add(table.name)
                if scan.queries:
                    self._remove(scan.prefix)

    def schema(self, table: str) -> pa.Schema:
        return self._catalog.table(table).schema

    def latest(self, table: str) -> datetime | None:
        """None also where there was no record for a month: all of a table is never read for this."""
        found = self._catalog.table(table)
        today = self._now().replace(hour=0, minute=0, second=0, microsecond=0)  # or no answer would fit a second time
        with self._stoppable() as stop:
            for back in _LOOKS_BACK:
                if latest := self._latest(found, Window(today - back, today + timedelta(days=2)), stop):
                    return latest
        return None

    def estimate(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> int | None:
        """Of a view it cannot be told. Holds for a few minutes."""
        table = self._catalog.table(request.table)
        return self._read_at_most(table, request, wanted, self._locate(table, request, wanted))

    def remote(self, table: str) -> bool:
        return True

    def close(self) -> None:
        """Stops every query; what waits for one gets a QueryError `cancelled`."""
        with self._lock:
            self._closed = True
            for stop in self._stops:
                stop.set()

    def _locate(self, table: AthenaTable, request: ScanRequest, wanted: Wanted) -> Locate:
        """Whether whole records cost so much that what matters is better asked for by another query."""
        if table.name in self._ambiguous:
            return Locate.NEVER
        if wanted.reads is None:
            return Locate.ALL
        try:
            whole = self._read_at_most(table, request, replace(wanted, reads=None), Locate.NEVER)
            part = self._read_at_most(table, request, wanted, Locate.ANY)
        except QueryError:  # it is only dearer then; what is really wrong the query itself will tell
            return Locate.ALL
        return Locate.ANY if whole is not None and part is not None and whole - part > WORTH else Locate.ALL

    def _read_at_most(self, table: AthenaTable, request: ScanRequest, wanted: Wanted, locate: Locate) -> int | None:
        now, key = self._now(), (request, wanted, locate)
        with self._lock:
            known = self._estimates = {
                each: value for each, value in self._estimates.items() if abs(now - value[0]) < _FRESH
            }
        if key not in known:
            with explained(request.table):
                size = read_at_most(table, request, wanted, self._clients, self._store, locate)
            known[key] = (now, size)
        return known[key][1]

    def _latest(self, table: AthenaTable, window: Window, stop: Event) -> datetime | None:
        statement, again = Asking(table, window).latest(), bool(self._settings.reuse)
        output = self._output / ("answers/" if again else f"{uuid.uuid4().hex}/")
        try:
            execution = self._queries.run(
                lambda _: statement, table=table.name, output=str(output), stop=stop, tally=Tally(), reuse=again
            )
            with explained(table.name):
                answer = self._clients.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
        finally:
            if not again:
                self._remove(output)
        value = answer["ResultSet"]["Rows"][1]["Data"][0].get("VarCharValue")
        return datetime.fromtimestamp(float(value), UTC) if value else None

    @contextmanager
    def _stoppable(self) -> Iterator[Event]:
        """What `close` sets."""
        stop = Event()
        with self._lock:
            self._stops.add(stop)
            if self._closed:
                stop.set()
        try:
            yield stop
        finally:
            with self._lock:
                self._stops.discard(stop)

    def _remove(self, prefix: Location, *, before: datetime | None = None) -> None:
        """What cannot be removed does not spoil what was read: it is left to the first scan of the next start."""
        try:
            self._store.remove(prefix, before=before)
        except QueryError as error:
            log.warning("what queries wrote below %s is not removed: %s", prefix, error)

    def _remove_leftovers(self) -> None:
        self._remove(self._output, before=self._now() - self._settings.timeout - _SPARED)


class _Once:
    """Does something at the first call."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        with self._lock:
            if not self._done:
                self._done = True
                self._act()
