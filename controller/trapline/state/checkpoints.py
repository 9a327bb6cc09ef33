"""Checkpoints: how far each detection has seen each of its tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from trapline.state.database import Database
from trapline.state.schema import checkpoints
from trapline.window import Checkpoint, Window

Pair = tuple[str, str]
"""A detection's identity, and a table."""


def read_checkpoints(database: Database) -> dict[Pair, Checkpoint]:
    """How far everybody has seen."""
    with database.reading() as connection:
        rows = connection.execute(sa.select(checkpoints)).all()
    return {(row.identity, row.table_name): Checkpoint(row.position, row.start, row.streamed) for row in rows}


def revise_checkpoints(database: Database, *, begin: Mapping[Pair, datetime], drop: Collection[Pair]) -> None:
    """Puts these at their beginnings, whether they are new or begin again, and drops those, together."""
    if not begin and not drop:
        return
    with database.transaction() as connection:
        for pair in {*begin, *drop}:
            connection.execute(checkpoints.delete().where(*_of(pair)))
        for (identity, table), start in begin.items():
            connection.execute(
                checkpoints.insert().values(identity=identity, table_name=table, position=start, start=start)
            )


def move_checkpoint(connection: sa.Connection, identity: str, table: str, window: Window) -> None:
    """A window was seen, in the caller's transaction. Never moves back: somebody else may have seen more meanwhile."""
    pair = (identity, table)
    known = connection.execute(sa.select(checkpoints.c.position).where(*_of(pair))).scalar()
    if known is None:
        values = {"identity": identity, "table_name": table, "position": window.end, "start": window.start}
        connection.execute(checkpoints.insert().values(**values))
    elif known < window.end:
        connection.execute(checkpoints.update().where(*_of(pair)).values(position=window.end))


def mark_streamed(database: Database, marks: Mapping[Pair, datetime | None]) -> None:
    """Since when these see records as they land, or that they do so no more."""
    if not marks:
        return
    with database.transaction() as connection:
        for pair, since in marks.items():
            connection.execute(checkpoints.update().where(*_of(pair)).values(streamed=since))


def seen_until(connection: sa.Connection, identity: str, tables: Collection[str]) -> datetime | None:
    """Up to where a detection has seen all of these tables; None where it has not begun with one of them."""
    query = sa.select(checkpoints.c.position).where(
        checkpoints.c.identity == identity, checkpoints.c.table_name.in_(tables)
    )
    positions = connection.execute(query).scalars().all()
    return min(positions) if len(positions) == len(tables) else None


def _of(pair: Pair) -> tuple[sa.ColumnElement[bool], ...]:
    return checkpoints.c.identity == pair[0], checkpoints.c.table_name == pair[1]
