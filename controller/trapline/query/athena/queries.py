"""Running queries on Athena: started once each, no more at a time than is allowed, waited for, and stopped."""

from __future__ import annotations

import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event
from typing import TYPE_CHECKING

from trapline.config.units import format_duration
from trapline.fingerprint import fingerprint
from trapline.query.athena.errors import explained, kind_of, query_error
from trapline.query.engine import QueryError
from trapline.settings import AthenaSettings

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_athena.type_defs import (
        QueryExecutionTypeDef,
        ResultConfigurationTypeDef,
        ResultReuseByAgeConfigurationTypeDef,
    )

ATTEMPTS = 3
"""So often a query is run that fails for no reason of its own."""

PATIENCE = 4
"""So often in a row AWS may not answer, after all that boto3 tries by itself: asking again does nothing twice."""

_PASSING = ("throttled", "unreachable")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_LONGEST_REUSE = 7 * 24 * 60  # minutes, Athena's own limit
_LOOK = 0.2  # seconds until whoever waits in the queue sees that it need not

Wait = Callable[[Event, float], object]
"""Waits so many seconds, or until the event is set."""


@dataclass(slots=True)
class Tally:
    """What a scan's queries came to, those that failed too."""

    ids: list[str] = field(default_factory=list)
    bytes_scanned: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """The clock of all waiting."""

    monotonic: Callable[[], float] = time.monotonic
    wait: Wait = Event.wait

    def pauses(self, stop: Event, until: float) -> Iterator[None]:
        """Goes on after longer and longer pauses, until the time is over. Raises QueryError `cancelled`."""
        pause = _FIRST_PAUSE
        while (left := until - self.monotonic()) > 0:
            yield
            self.wait(stop, min(left, pause * random.uniform(0.8, 1.2)))  # noqa: S311 (no secret depends on it)
            if stop.is_set():
                raise query_error("cancelled", "the query was not waited for")
            pause = min(pause * 1.5, _LONGEST_PAUSE)


class Slots:
    """Turns to run a query: no more at once than there are slots, whoever came first comes first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def one(self, stop: Event) -> Iterator[None]:
        """Raises QueryError `cancelled`."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                while not (self._free and self._queue[0] is ticket):
                    if stop.is_set():
                        raise query_error("cancelled", "the query was not waited for")
                    self._changed.wait(_LOOK)
                self._free -= 1
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


class Queries:
    """The queries of one controller. Thread-safe."""

    def __init__(self, athena: AthenaClient, settings: AthenaSettings, *, pace: Pace) -> None:
        self._athena = athena
        self._settings = settings
        self._pace = pace
        self._slots = Slots(settings.concurrency)

    def run(
        self, sql: Callable[[int], str], *, table: str, output: str, stop: Event, tally: Tally, reuse: bool = False
    ) -> QueryExecutionTypeDef:
        """A query that has succeeded; `sql` says it for each attempt, since none may write where another did.

        Raises QueryError, and stops the query where it still runs: also once `stop` is set.
        """
        run = uuid.uuid4().bytes
        for attempt in range(ATTEMPTS):
            # The same token, however often it is sent: an answer that was lost starts no second query.
            token = fingerprint(run, str(attempt).encode())
            with self._slots.one(stop):
                until = self._pace.monotonic() + self._settings.timeout.total_seconds()
                query = self._start(sql(attempt), token, table, output, stop, until, reuse=reuse)
                tally.ids.append(query)
                try:
                    execution = self._ended(query, table, stop, until)
                except BaseException:  # whatever ends the waiting ends the query
                    tally.bytes_scanned += self._stopped(query)
                    raise
            tally.bytes_scanned += _scanned(execution)
            status = execution.get("Status", {})
            if status.get("State") == "SUCCEEDED":
                return execution
            error = _failure(execution, table)
            passing = status.get("AthenaError", {}).get("Retryable", False) or error.code == "throttled"
            if attempt + 1 == ATTEMPTS or not passing:
                raise error
        raise AssertionError("every attempt returns or raises")

    def _start(self, sql: str, token: str, table: str, output: str, stop: Event, until: float, *, reuse: bool) -> str:
        settings = self._settings
        result: ResultConfigurationTypeDef = {"OutputLocation": output}
        if settings.kms_key:
            result["EncryptionConfiguration"] = {"EncryptionOption": "SSE_KMS", "KmsKey": settings.kms_key}
        minutes = min(int(settings.reuse.total_seconds() // 60), _LONGEST_REUSE)
        age: ResultReuseByAgeConfigurationTypeDef = {"Enabled": False}
        if reuse and minutes:
            age = {"Enabled": True, "MaxAgeInMinutes": minutes}
        unanswered = 0
        for _ in self._pace.pauses(stop, until):
            try:
                with explained(table=table):
                    return self._athena.start_query_execution(
                        QueryString=sql,
                        ClientRequestToken=token,
                        QueryExecutionContext={"Catalog": settings.catalog, "Database": settings.database},
                        ResultConfiguration=result,
                        WorkGroup=settings.workgroup,
                        ResultReuseConfiguration={"ResultReuseByAgeConfiguration": age},
                    )["QueryExecutionId"]
            except QueryError as error:
                unanswered += error.code == "unreachable"
                if error.code not in _PASSING or unanswered == PATIENCE:
                    raise
                last = error
        raise last

    def _ended(self, query: str, table: str, stop: Event, until: float) -> QueryExecutionTypeDef:
        """The query once it has ended. Raises QueryError, also where it does not end in time or is not waited for."""
        unanswered = 0
        for _ in self._pace.pauses(stop, until):
            try:
                with explained(table, query):
                    execution = self._athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            except QueryError as error:
                unanswered += error.code == "unreachable"
                if error.code not in _PASSING or unanswered == PATIENCE:
                    raise
                continue
            unanswered = 0
            if execution.get("Status", {}).get("State") in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return execution
        limit = format_duration(self._settings.timeout)
        raise query_error("timeout", f"it did not end within {limit}", table=table, query=query)

    def _stopped(self, query: str) -> int:
        """Stops a query, and says what it had scanned by then: that has its price too."""
        try:
            with explained():
                self._athena.stop_query_execution(QueryExecutionId=query)
                return _scanned(self._athena.get_query_execution(QueryExecutionId=query)["QueryExecution"])
        except QueryError:
            return 0  # why it is stopped is what has to be told


def _scanned(execution: QueryExecutionTypeDef) -> int:
    return execution.get("Statistics", {}).get("DataScannedInBytes", 0)


def _failure(execution: QueryExecutionTypeDef, table: str) -> QueryError:
    status = execution.get("Status", {})
    words = status.get("AthenaError", {}).get("ErrorMessage") or status.get("StateChangeReason") or "it gave no reason"
    cancelled = status.get("State") == "CANCELLED"
    code = kind_of(words, otherwise="cancelled" if cancelled else "internal")
    return query_error(code, words, table=table, query=execution.get("QueryExecutionId", ""))
