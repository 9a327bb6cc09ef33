"""Many rows in one statement, for what comes by the thousands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import sqlalchemy as sa

_Bind = tuple[str, Callable[[Any], Any] | None]

_AT_ONCE = 5_000  # enough to be fast, and no second copy of everything


def insert_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts the rows, in the caller's transaction. Each has the same keys, also for what has a default here.

    The values go to the driver as the table's types want them, without SQLAlchemy's work for each row in between.
    """
    if not rows:
        return
    statement, binds = _prepared(table, connection.dialect, tuple(rows[0]))
    values = (tuple(bind(row[name]) if bind else row[name] for name, bind in binds) for row in rows)
    while some := list(islice(values, _AT_ONCE)):
        connection.exec_driver_sql(statement, some)


@lru_cache(maxsize=100)
def _prepared(table: sa.Table, dialect: sa.Dialect, names: tuple[str, ...]) -> tuple[str, Sequence[_Bind]]:
    """The statement, and how the value of each of its columns is made, in their order."""
    compiled = table.insert().compile(dialect=dialect, column_keys=list(names))
    order = compiled.positiontup or []
    return str(compiled), [(name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in order]
