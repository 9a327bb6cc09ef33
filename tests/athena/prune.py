"""What need not be read: partitions that a condition leaves nothing of, and row groups by their statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from tests.athena.bind import Look, Path
from tests.athena.catalog import Partition, duckdb_type

Range = tuple[Any, Any]
_MILLISECOND = timedelta(milliseconds=1)


def partitions(look: Look, connection: duckdb.DuckDBPyConnection) -> Sequence[Partition]:
    """The partitions for which the condition, as far as it speaks of their values alone, is true."""
    every, keys = look.table.partitions, look.table.keys
    names = {key.name for key in keys}
    if not every or not names:
        return every
    asked = _told_by(look.condition.copy(), lambda column: column.table == look.alias and column.name in names)
    if isinstance(asked, exp.Boolean):
        return every if asked.this else ()
    columns = {key.name: [partition.values[place] for partition in every] for place, key in enumerate(keys)}
    connection.register("partitions", pa.table({**columns, "number": range(len(every))}))
    typed = ", ".join(f'CAST("{key.name}" AS {duckdb_type(key.type)}) AS "{key.name}"' for key in keys)
    found = connection.execute(
        f'SELECT number FROM (SELECT number, {typed} FROM partitions) AS "{look.alias}" '
        f"WHERE {asked.sql('duckdb')} ORDER BY number"
    ).fetchall()
    connection.unregister("partitions")
    return [every[number] for (number,) in found]


def _told_by(condition: exp.Expression, known: Callable[[exp.Column], bool]) -> exp.Expression:
    """A condition that holds wherever this one does, and asks for nothing but the known columns."""
    if isinstance(condition, exp.Paren):
        return _told_by(condition.this, known)
    if isinstance(condition, exp.And | exp.Or):
        sides = [_told_by(side, known) for side in (condition.this, condition.expression)]
        certain = isinstance(condition, exp.Or)
        if any(isinstance(side, exp.Boolean) and bool(side.this) is certain for side in sides):
            return exp.true() if certain else exp.false()
        left = [side for side in sides if not isinstance(side, exp.Boolean)]
        return (exp.or_ if certain else exp.and_)(*left) if left else sides[0]
    if isinstance(condition, exp.Boolean):
        return condition
    columns = list(condition.find_all(exp.Column))
    told = columns and all(map(known, columns)) and not condition.find(exp.Query)
    return condition if told else exp.true()


def may_hold(condition: exp.Expression, range_of: Callable[[Path], Range | None]) -> bool:
    """Whether a condition can be true of some row, as far as the least and the greatest values of columns tell."""
    if isinstance(condition, exp.Paren):
        return may_hold(condition.this, range_of)
    if isinstance(condition, exp.And):
        return may_hold(condition.this, range_of) and may_hold(condition.expression, range_of)
    if isinstance(condition, exp.Or):
        return may_hold(condition.this, range_of) or may_hold(condition.expression, range_of)
    if isinstance(condition, exp.Boolean):
        return bool(condition.this)
    try:
        return _test(condition, range_of)
    except (TypeError, ValueError):
        return True  # what cannot be compared tells nothing


def _test(condition: exp.Expression, range_of: Callable[[Path], Range | None]) -> bool:
    ends = _ends(condition.this, range_of) if condition.this else None
    if ends is None:
        return True
    least, most = ends
    if isinstance(condition, exp.In) and condition.expressions:
        return any(least <= value <= most for value in map(_value, condition.expressions))
    if isinstance(condition, exp.Between):
        return bool(_value(condition.args["low"]) <= most and least <= _value(condition.args["high"]))
    if isinstance(condition, exp.EQ):
        return bool(least <= _value(condition.expression) <= most)
    if isinstance(condition, exp.GT | exp.GTE):
        value = _value(condition.expression)
        return bool(most > value if isinstance(condition, exp.GT) else most >= value)
    if isinstance(condition, exp.LT | exp.LTE):
        value = _value(condition.expression)
        return bool(least < value if isinstance(condition, exp.LT) else least <= value)
    return True


def _ends(node: exp.Expression, range_of: Callable[[Path], Range | None]) -> Range | None:
    path = column_path(node)
    found = range_of(path) if path else None
    if found is None:
        return None
    least, most = (_plain(end) for end in found)
    if isinstance(least, datetime):  # times are rounded to milliseconds as they are read
        return least - _MILLISECOND, most + _MILLISECOND
    return least, most


def column_path(node: exp.Expression) -> Path:
    """The path of a column or of a field in it; empty for anything else."""
    if isinstance(node, exp.Dot):
        path = column_path(node.this)
        return (*path, node.expression.name) if path else ()
    return (node.name,) if isinstance(node, exp.Column) else ()


def _value(node: exp.Expression) -> Any:
    """The value of a literal. Raises ValueError for anything else."""
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
        if node.to.is_type("date"):
            return date.fromisoformat(node.this.name)
        if node.to.is_type("timestamp", "timestamptz"):
            return _plain(datetime.fromisoformat(node.this.name.removesuffix(" UTC")))
    if isinstance(node, exp.Neg):
        return -_value(node.this)
    if isinstance(node, exp.Literal):
        return node.name if node.is_string else float(node.name) if "." in node.name else int(node.name)
    raise ValueError(node)


def _plain(value: Any) -> Any:
    """A moment without its time zone, which is UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
