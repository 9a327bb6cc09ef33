"""The queries of the double: each in a thread of its own, from the time that it is asked for to its end."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from tests.athena.catalog import Catalog
from tests.athena.errors import FAILURES, QueryCancelled, QueryFailed, internal
from tests.athena.faults import Fault, Faults
from tests.athena.objects import Objects
from tests.athena.run import Run
from tests.athena.statement import Statement, read
from tests.athena.unload import Writer
from tests.athena.words import check_words

CUT_OFF = "Bytes scanned limit was exceeded"
STOPPED = "Query cancelled by user"
_LOOK = 0.05
"""Seconds between looks whether a query that is queued was stopped."""

OVER = ("SUCCEEDED", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query was started with, after its workgroup had its say."""

    text: str
    output: str
    workgroup: str = "primary"
    catalog: str = "awsdatacatalog"
    database: str = "default"
    token: str | None = None
    cutoff: int | None = None
    kms_key: str | None = None
    reuse: float | None = None
    encryption: dict[str, Any] | None = None

    def same_as(self, other: Asked) -> bool:
        """Whether the answer to one is that to the other, whoever asked for it and when."""
        return replace(self, token=None, reuse=None) == replace(other, token=None, reuse=None)


@dataclass(slots=True)
class Query:
    """A query and how far it is. Times are seconds of the epoch; `earlier` is the one whose answer was used again."""

    asked: Asked
    run: Run = field(repr=False)
    id: str = field(default_factory=lambda: str(uuid4()))
    state: str = "QUEUED"
    reason: str | None = None
    error: QueryFailed | None = None
    bytes: int = 0
    rows: list[list[str | None]] | None = None
    types: list[tuple[str, str]] = field(default_factory=list)
    manifest: str | None = None
    earlier: Query | None = None
    submitted: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    stopped: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def over(self) -> bool:
        """It has come to its end, whichever."""
        return self.state in OVER

    @property
    def output(self) -> str:
        """The address of what it writes beside the files of an UNLOAD; of an answer used again, the earlier one's."""
        if self.earlier is not None:
            return self.earlier.output
        return f"{self.asked.output.rstrip('/')}/{self.id}" + ("" if self.unloads else ".csv")

    @property
    def unloads(self) -> bool:
        """It is an UNLOAD."""
        return self.asked.text.lstrip()[:6].upper() == "UNLOAD"


class Queries:
    """All queries of the double. `running` of them run at once; the others, which count as well, wait."""

    def __init__(self, objects: Objects, faults: Faults, *, running: int, rows_per_file: int) -> None:
        self._objects = objects
        self._faults = faults
        self._rows = rows_per_file
        self._slots = threading.Semaphore(running)
        self._known: dict[str, Query] = {}
        self.lock = threading.RLock()

    def all(self) -> list[Query]:
        """Every query, the first asked for first."""
        with self.lock:
            return list(self._known.values())

    def get(self, query_id: str) -> Query | None:
        """The query of an id."""
        return self._known.get(query_id)

    @property
    def active(self) -> int:
        """How many are queued or running, which is what Athena limits."""
        return sum(not query.over for query in self.all())

    def forget(self) -> None:
        """Stops what runs, and forgets all."""
        with self.lock:
            known, self._known = self._known, {}
        for query in known.values():
            self.stop(query)

    def start(self, asked: Asked, catalog: Catalog) -> Query:
        """Starts a query. Raises MalformedQuery."""
        statement: Statement | QueryFailed
        try:
            statement = read(asked.text)
            check_words(statement)
        except QueryFailed as error:
            statement = error
        query = Query(asked, Run(self._objects, catalog))
        with self.lock:
            self._known[query.id] = query
        threading.Thread(target=self._work, args=(query, statement), daemon=True).start()
        return query

    def stop(self, query: Query) -> None:
        """Cancels it. One that is over stays as it is."""
        query.stopped.set()
        query.run.cancel()

    def _work(self, query: Query, statement: Statement | QueryFailed) -> None:
        """From the queue to the end, whatever that is."""
        slot = False
        while not slot and not query.stopped.is_set():
            slot = self._slots.acquire(timeout=_LOOK)
        query.started = time.time()
        try:
            self._run(query, statement)
            state = "SUCCEEDED"
        except QueryCancelled as cancelled:
            state, query.reason = "CANCELLED", str(cancelled) or STOPPED
        except QueryFailed as error:
            state, query.reason, query.error = "FAILED", error.message, error
        except Exception as error:  # whatever went wrong, whoever waits for the query must hear of it
            failure = internal(f"the double failed: {error!r}")
            state, query.reason, query.error = "FAILED", failure.message, failure
        finally:
            query.run.close()
            if slot:
                self._slots.release()
        query.ended = time.time()
        query.state = state

    def _run(self, query: Query, statement: Statement | QueryFailed) -> None:
        if query.stopped.is_set():
            raise QueryCancelled(STOPPED)
        query.state = "RUNNING"
        if isinstance(statement, QueryFailed):
            raise statement
        fault = self._faults.of_query(query.asked.text)
        if fault is not None:
            self._go_wrong(query, fault)
        if statement.unload is None and self._reused(query):
            return
        run, asked = query.run, query.asked
        bound = run.plan(statement, catalog=asked.catalog, database=asked.database)
        query.bytes = run.bytes
        if fault is not None and fault.kind == "cut-off":
            raise QueryCancelled(CUT_OFF)
        if asked.cutoff is not None and run.bytes > asked.cutoff:
            query.bytes = asked.cutoff  # so much was read until it was noticed
            raise QueryCancelled(CUT_OFF)
        result = run.start(statement, bound)
        query.types = [(name, str(kind).lower()) for name, kind in zip(result.schema.names, result.types, strict=True)]
        writer = Writer(self._objects, self._rows, asked.kms_key)
        if statement.unload is None:
            query.rows = writer.table(query.output, result)
        else:
            writer.check(statement.unload, result)
            files = writer.unload(statement.unload, result)
            query.manifest = f"{query.output}-manifest.csv"
            writer.manifest(query.manifest, files)
        writer.metadata(f"{query.output}.metadata")

    def _go_wrong(self, query: Query, fault: Fault) -> None:
        if fault.kind == "fail":
            raise replace(FAILURES[fault.failure])
        if fault.kind == "stall" and query.stopped.wait(fault.seconds):
            raise QueryCancelled(STOPPED)

    def _reused(self, query: Query) -> bool:
        """Whether an earlier answer stands in for this one. Athena does so for SELECT, and never for UNLOAD."""
        asked = query.asked
        if asked.reuse is None:
            return False
        for earlier in reversed(self.all()):
            if earlier is not query and earlier.state == "SUCCEEDED" and earlier.asked.same_as(asked):
                if earlier.ended is None or time.time() - earlier.ended > asked.reuse:
                    return False
                query.rows, query.types, query.earlier = earlier.rows, earlier.types, earlier
                return True
        return False
