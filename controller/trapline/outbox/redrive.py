"""Deliveries as people look at them, and have them sent again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trapline.errors import TraplineError
from trapline.outbox.circuit import release
from trapline.outbox.verdict import State
from trapline.state.database import announce
from trapline.state.schema import deliveries


def newest_deliveries(
    connection: sa.Connection, *, state: State | None, destination: str | None, limit: int | None
) -> list[Mapping[str, Any]]:
    """The newest deliveries, in this state and to this destination where these are given, as rows of the table."""
    query = sa.select(deliveries).order_by(deliveries.c.sequence.desc()).limit(limit)
    if state is not None:
        query = query.where(deliveries.c.state == state.value)
    if destination is not None:
        query = query.where(deliveries.c.destination == destination)
    return [dict(row) for row in connection.execute(query).mappings()]


def find_delivery(connection: sa.Connection, prefix: str) -> Mapping[str, Any]:
    """The one delivery whose id starts so, as a row of the table. Raises TraplineError where none or several do."""
    query = sa.select(deliveries).where(deliveries.c.id.startswith(prefix, autoescape=True)).limit(2)
    rows = connection.execute(query).mappings().all()
    if len(rows) == 1:
        return dict(rows[0])
    problem = "several deliveries have an id that starts" if rows else "no delivery has an id that starts"
    raise TraplineError(f"{problem} with {prefix!r}", remedy="see `trapline deliveries list`")


def revive(connection: sa.Connection, ids: Collection[str], *, now: datetime) -> None:
    """Has dead deliveries sent again, as if they were new.

    Why they were given up no longer says whether they arrived: each is looked up first where its destination can tell.
    Whatever else waits for their destinations is tried at once, too.
    """
    again = {"state": State.UNKNOWN.value, "attempts": 0, "strikes": 0, "next_attempt_at": now, "settled_at": None}
    dead = deliveries.c.state == State.DEAD.value
    mended: set[str] = set()
    for id in ids:
        update = deliveries.update().where(deliveries.c.id == id, dead).values(**again, reason="redriven")
        mended.update(connection.execute(update.returning(deliveries.c.destination)).scalars())
    hasten(connection, mended, now=now)


def hasten(connection: sa.Connection, destinations: Collection[str], *, now: datetime) -> None:
    """Has what waits for these destinations tried now: a person says that they work. What may be under way is left."""
    release(connection, destinations)
    connection.execute(
        deliveries.update()
        .where(
            deliveries.c.destination.in_(destinations),
            deliveries.c.settled_at.is_(None),
            deliveries.c.state == State.PENDING.value,
            deliveries.c.attempts > 0,
        )
        .values(next_attempt_at=now)
    )
    announce(connection)
