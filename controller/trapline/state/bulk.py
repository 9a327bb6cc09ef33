"""Many rows in one statement, for what comes by the thousands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

_AT_ONCE = 5_000  # enough to be fast, and no second copy of everything


def insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts the rows, in the caller's transaction. Each has the same keys, also for what has a default here.

    The values go to the driver as the table's types want them, without SQLAlchemy's work for each row in between.
    """
    if not rows:
        return
    dialect = connection.dialect
    compiled = table.insert().compile(dialect=dialect, column_keys=list(rows[0]))
    names = compiled.positiontup or []
    binds: list[tuple[str, Callable[[Any], Any] | None]] = [
        (name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names
    ]
    values = (tuple(bind(row[name]) if bind else row[name] for name, bind in binds) for row in rows)
    while some := list(islice(values, _AT_ONCE)):
        connection.exec_driver_sql(str(compiled), some)
