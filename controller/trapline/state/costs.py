"""What reading the lake costs: bytes and queries by day, table and detection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import sqlalchemy as sa

from trapline.settings import Settings
from trapline.state.database import Database
from trapline.state.schema import costs

_TB = 2**40


@dataclass(frozen=True, slots=True)
class Cost:
    """What was read of a table on one day (UTC): by a detection, its equal share of the scans that it took part in; by
    all together where `identity` is empty. `queries` and `bytes` are whole numbers for the table; a detection's bytes
    are rounded down, and its queries are all of those that it took part in."""

    day: date
    table: str
    identity: str
    queries: int
    bytes: int


class Costs:
    """What is known of them. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, table: str, identities: Collection[str], *, queries: int, bytes: int, at: datetime) -> None:
        """Adds one scan of a table for these detections."""
        if not queries and not bytes:
            return
        day = at.astimezone(UTC).date().isoformat()
        share = bytes // max(1, len(identities))
        read = [("", bytes), *((identity, share) for identity in identities)]
        with self._database.transaction() as connection:
            known = set(connection.execute(sa.select(costs.c.identity).where(*_of(day, table))).scalars())
            for identity, size in read:
                if identity in known:
                    more = {"queries": costs.c.queries + queries, "bytes": costs.c.bytes + size}
                    connection.execute(
                        costs.update().where(*_of(day, table), costs.c.identity == identity).values(more)
                    )
            new = [(identity, size) for identity, size in read if identity not in known]
            if new:
                rows = [
                    {"day": day, "table_name": table, "identity": identity, "queries": queries, "bytes": size}
                    for identity, size in new
                ]
                connection.execute(costs.insert(), rows)

    def spent(self, table: str, *, at: datetime) -> int:
        """The bytes that were read of a table on that day (UTC)."""
        day = at.astimezone(UTC).date().isoformat()
        query = sa.select(costs.c.bytes).where(*_of(day, table), costs.c.identity == "")
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar() or 0)

    def since(self, day: date) -> Sequence[Cost]:
        """Everything from that day on, the newest days first."""
        order = (costs.c.day.desc(), costs.c.table_name, costs.c.identity)
        query = sa.select(costs).where(costs.c.day >= day.isoformat()).order_by(*order)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [Cost(date.fromisoformat(row.day), row.table_name, row.identity, row.queries, row.bytes) for row in rows]


def price(table: str, bytes: int, settings: Settings) -> float:
    """What reading so much of a table takes, in US dollars; nothing of one that the embedded engine reads."""
    known = settings.tables.get(table)
    return bytes / _TB * settings.athena.price_per_tb if settings.athena and known and known.engine == "athena" else 0.0


def dollars(price: float) -> str:
    """A sum in US dollars, for a column that says so."""
    return "-" if not price else "under 0.01" if price < 0.01 else f"{price:.2f}"


def _of(day: str, table: str) -> tuple[sa.ColumnElement[bool], ...]:
    return costs.c.day == day, costs.c.table_name == table
