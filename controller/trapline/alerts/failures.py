"""What a rule failed on, set aside: kept with the reason, and the record itself, until a version gets through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trapline.alerts.origin import Origin
from trapline.errors import TraplineError
from trapline.fingerprint import fingerprint
from trapline.state.database import Database
from trapline.state.schema import failures
from trapline.window import Window
from trapline_plugins.text import one_line

FailureKey = tuple[str, str]
"""What a record is identified by, and the function that failed on it."""

_CHUNK = 500  # SQLite's limit on bound parameters is in the thousands


def cost_of(outcome: str) -> int:
    """What a failure costs of the error budget: ten times as much where a record took all its time, or the worker."""
    return 1 if outcome in ("raised", "pids") else 10


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that a rule failed on in `function`, or its whole window where it has no `payload`.

    `outcome` is `raised`, or the limit that was exceeded. `record` is for people; `payload` is the record with its
    types, as `run.payload` packs it, and `key` what a match of it is identified by.
    """

    function: str
    error: str
    file: str
    line: int
    event_at: datetime
    record: Mapping[str, Any] | None
    outcome: str = "raised"
    key: str = ""
    payload: bytes | None = None

    def __str__(self) -> str:
        """In one line, whatever the rule had to say."""
        place = f" at {self.file}:{self.line}" if self.file else ""
        return one_line(f"{self.function or 'the rule '}(){place}: {self.error}".replace(" ()", ""))


def set_aside(
    connection: sa.Connection, origin: Origin, table: str, window: Window, failed: Iterable[Failure], *, now: datetime
) -> set[str]:
    """Writes failures, in the caller's transaction; one that is known already is open again. Returns their ids.

    One that was open keeps the time at which it was first set aside: it costs nothing of the error budget again.
    """
    rows = {row["id"]: row for row in (_row(origin, table, window, failure, now) for failure in failed)}
    if rows:
        for known in _open(connection, list(rows)):
            rows[known.id]["failed_at"] = known.failed_at
        before = failures.delete().where(failures.c.id == sa.bindparam("known"))
        connection.execute(before, [{"known": id} for id in rows])
        connection.execute(failures.insert(), list(rows.values()))
    return set(rows)


def _open(connection: sa.Connection, ids: Sequence[str]) -> Iterator[Any]:
    columns = sa.select(failures.c.id, failures.c.failed_at).where(failures.c.settled_at.is_(None))
    for start in range(0, len(ids), _CHUNK):
        yield from connection.execute(columns.where(failures.c.id.in_(ids[start : start + _CHUNK]))).all()


def settle(connection: sa.Connection, ids: Collection[str], *, now: datetime) -> None:
    """Marks failures that a version got through, in the caller's transaction."""
    if ids:
        settled = failures.update().where(failures.c.id == sa.bindparam("known")).values(settled_at=now)
        connection.execute(settled, [{"known": id} for id in ids])


def tried(connection: sa.Connection, ids: Collection[str], version: str) -> None:
    """Marks failures that a version was tried on to no avail, in the caller's transaction: they wait for another."""
    if ids:
        again = failures.update().where(failures.c.id == sa.bindparam("known")).values(deploy_digest=version)
        connection.execute(again, [{"known": id} for id in ids])


class Failures:
    """Reads what was set aside; rows of the table `failures`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(
        self, identity: str | None = None, *, settled: bool = False, limit: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """The open failures of one detection or of all, newest first; with `settled` those that are over too."""
        query = sa.select(failures).order_by(failures.c.failed_at.desc(), failures.c.id).limit(limit)
        if identity is not None:
            query = query.where(failures.c.identity == identity)
        if not settled:
            query = query.where(failures.c.settled_at.is_(None))
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def find(self, prefix: str) -> Mapping[str, Any]:
        """The one failure whose id starts so. Raises TraplineError where none or several do."""
        query = sa.select(failures).where(failures.c.id.startswith(prefix, autoescape=True)).limit(2)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        if len(rows) == 1:
            return dict(rows[0])
        problem = "several failures have an id that starts" if rows else "no failure has an id that starts"
        raise TraplineError(f"{problem} with {prefix!r}", remedy="see `trapline failures list`")

    def due(self, live: Mapping[str, str]) -> set[str]:
        """The identities with failures that the live version has not tried yet; `live` has their deploy digests."""
        query = (
            sa.select(failures.c.identity, failures.c.deploy_digest)
            .where(failures.c.settled_at.is_(None), failures.c.window_end.is_not(None))
            .distinct()
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {row.identity for row in rows if row.identity in live and row.deploy_digest != live[row.identity]}

    def open_between(self, identity: str, table: str, start: datetime, end: datetime) -> frozenset[FailureKey]:
        """The open failures of one detection on records of that time."""
        query = sa.select(failures.c.record_key, failures.c.function).where(
            failures.c.identity == identity,
            failures.c.settled_at.is_(None),
            failures.c.table_name == table,
            failures.c.payload.is_not(None),
            failures.c.event_at >= start,
            failures.c.event_at < end,
        )
        with self._database.reading() as connection:
            return frozenset((row.record_key, row.function) for row in connection.execute(query))

    def spent(self, since: Mapping[str, datetime]) -> Counter[str]:
        """What the failures of each detection since then cost of its error budget, by identity."""
        spent: Counter[str] = Counter()
        if not since:
            return spent
        columns = (failures.c.identity, failures.c.outcome, failures.c.failed_at)
        query = sa.select(*columns).where(failures.c.failed_at >= min(since.values()))
        with self._database.reading() as connection:
            for row in connection.execute(query):
                if row.identity in since and row.failed_at >= since[row.identity]:
                    spent[row.identity] += cost_of(row.outcome)
        return spent


def _row(origin: Origin, table: str, window: Window, failure: Failure, now: datetime) -> dict[str, Any]:
    subject = failure.key if failure.payload is not None else f"window {window}"
    parts = (origin.identity, table, subject, failure.function)
    return {
        "id": fingerprint(*(part.encode() for part in parts)),
        "identity": origin.identity,
        "table_name": table,
        "revision": origin.revision,
        "build_digest": origin.build_digest,
        "deploy_digest": origin.deploy_digest,
        "outcome": failure.outcome,
        "function": failure.function,
        "error": failure.error,
        "file": failure.file,
        "line": failure.line,
        "event_at": failure.event_at,
        "window_start": window.start,
        "window_end": window.end,
        "failed_at": now,
        "settled_at": None,
        "record": failure.record,
        "record_key": failure.key,
        "payload": failure.payload,
    }
