"""What is known of the streams: how each gets on, what came by them, and what no records could be made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from trapline.state.bulk import insert_all
from trapline.state.database import Database, chunks
from trapline.state.schema import landed, matches, spoiled, streams

_UNHEARD = timedelta(seconds=15)
"""A stream may hear so late of what has landed."""

KNOWN_FOR = timedelta(days=15)
"""What came by a stream is known for longer than any queue keeps it."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream, and how it gets on: a row of `streams`. At `told_at` it was last asked; `oldest` waited then."""

    table: str
    kind: str
    since: datetime
    told_at: datetime
    positions: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    parcels: int = 0
    records: int = 0
    per_second: float = 0.0
    lag_seconds: float | None = None
    waiting: int | None = None
    oldest: datetime | None = None

    @property
    def done_until(self) -> datetime:
        """What landed before is done, all of it; of what came later, some may be."""
        return min(self.told_at, self.oldest or self.told_at) - _UNHEARD


@dataclass(frozen=True, slots=True)
class SetAside:
    """What no records could be made of: a row of `spoiled`."""

    table: str
    key: str
    landed_at: datetime
    reason: str
    origin: str
    set_aside_at: datetime
    settled_at: datetime | None = None


def read_streams(connection: sa.Connection) -> list[StreamState]:
    """All streams, by table."""
    rows = connection.execute(sa.select(streams).order_by(streams.c.table_name)).mappings()
    return [StreamState(table=row["table_name"], **{k: row[k] for k in row if k != "table_name"}) for row in rows]


def keep_stream(connection: sa.Connection, state: StreamState) -> None:
    """Writes a stream's row anew."""
    row = {name: getattr(state, name) for name in StreamState.__dataclass_fields__ if name != "table"}
    connection.execute(streams.delete().where(streams.c.table_name == state.table))
    connection.execute(streams.insert().values(table_name=state.table, **{**row, "positions": dict(state.positions)}))


def drop_streams(database: Database, tables: Collection[str]) -> None:
    """Of tables to which nobody listens any more."""
    with database.transaction() as connection:
        connection.execute(streams.delete().where(streams.c.table_name.in_(list(tables))))


def known_keys(connection: sa.Connection, table: str, keys: Sequence[str]) -> set[str]:
    """Those of the keys of which the parcel is recorded."""
    known: set[str] = set()
    for chunk in chunks(list(keys)):
        query = sa.select(landed.c.key).where(landed.c.table_name == table, landed.c.key.in_(chunk))
        known |= set(connection.execute(query).scalars())
    return known


def keep_keys(connection: sa.Connection, table: str, keys: Collection[str], *, now: datetime) -> None:
    """These parcels are recorded, in the caller's transaction; what was set aside under such a key is settled."""
    fresh = sorted(set(keys) - known_keys(connection, table, sorted(keys)))
    insert_all(connection, landed, [{"table_name": table, "key": key, "at": now} for key in fresh])
    for chunk in chunks(fresh):
        settled = spoiled.update().where(spoiled.c.table_name == table, spoiled.c.key.in_(chunk))
        connection.execute(settled.values(settled_at=now))
    connection.execute(landed.delete().where(landed.c.at < now - KNOWN_FOR))


def set_parcels_aside(connection: sa.Connection, parcels: Collection[SetAside]) -> None:
    """Keeps these until they are settled; one that was set aside before stays as it is, with the reason of now."""
    for one in parcels:
        of = (spoiled.c.table_name == one.table, spoiled.c.key == one.key)
        values: dict[str, Any] = {"reason": one.reason, "settled_at": None}
        if not connection.execute(spoiled.update().where(*of).values(values)).rowcount:
            connection.execute(
                spoiled.insert().values(
                    table_name=one.table,
                    key=one.key,
                    landed_at=one.landed_at,
                    origin=one.origin,
                    set_aside_at=one.set_aside_at,
                    **values,
                )
            )


def read_set_aside(connection: sa.Connection, table: str | None = None) -> list[SetAside]:
    """What is set aside and not settled, the oldest first."""
    query = sa.select(spoiled).where(spoiled.c.settled_at.is_(None)).order_by(spoiled.c.landed_at, spoiled.c.key)
    if table is not None:
        query = query.where(spoiled.c.table_name == table)
    rows = connection.execute(query).mappings()
    return [SetAside(table=row["table_name"], **{k: row[k] for k in row if k != "table_name"}) for row in rows]


def missed(connection: sa.Connection) -> dict[str, int]:
    """By table the matches that a stream should have brought and a sweep of the lake found."""
    query = sa.select(matches.c.table_name).where(matches.c.late)
    return dict(Counter(connection.execute(query).scalars()))
