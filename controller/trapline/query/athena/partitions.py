"""The partitions that a window touches, in Athena's words and in Glue's.

A partition's value may be written with leading zeros or without: `month=07` and `month=7` are both asked for, since
what is not asked for would be missing without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby

from trapline.query import sql
from trapline.query.athena.catalog import AthenaTable
from trapline.query.engine import QueryError
from trapline.query.partitions import spelled, touched
from trapline.window import Window

MOST = 10_000
"""So many partitions a window may touch: their names have to fit into a query."""

_WHOLE_NUMBERS = ("tinyint", "smallint", "int", "integer", "bigint")


def conditions(table: AthenaTable, window: Window) -> list[str]:
    """That a row lies in one of the partitions, those that begin alike together; nothing where there are none."""
    if not table.keys:
        return []
    kinds = {name: table.keys[name] for name in table.settings.partition}
    return [_one_of(kinds, [tuple(values.values()) for values in partitions(table, window)])]


def partitions(table: AthenaTable, window: Window) -> list[dict[str, str]]:
    """The values of the columns that hold the time. Raises QueryError `unbounded` where there are too many."""
    found = touched(table.settings.partition, window)
    if len(found) > MOST:
        message = f"the window {window} touches {len(found):,} partitions of the table {table.name}, more than {MOST:,}"
        raise QueryError("unbounded", message, remedy="ask for a shorter window")
    return found


def bounds(table: AthenaTable, window: Window) -> str:
    """Bounds for Glue, wider than the window, so that not all partitions of years are listed."""
    column, form = next(iter(table.settings.partition.items()))
    values = [values[column] for values in partitions(table, window)]
    if not form.startswith("%Y"):
        return ""
    if table.keys[column] in _WHOLE_NUMBERS:
        numbers = list(map(int, values))
        return f"{column} >= {min(numbers)} AND {column} <= {max(numbers)}"
    return f"{column} >= {sql.string(min(values)[:4])} AND {column} < {sql.string(str(int(max(values)[:4]) + 1))}"


def holds(table: AthenaTable, values: Mapping[str, str], wanted: Iterable[Mapping[str, str]]) -> bool:
    """Whether a partition with these values is a wanted one; what is not written as the table says may be."""
    said = {column: spelled(form, values[column]) for column, form in table.settings.partition.items()}
    return any(all(value in (None, one[column]) for column, value in said.items()) for one in wanted)


def spellings(value: str) -> list[str]:
    """A value with leading zeros, and without."""
    return list(dict.fromkeys([value, re.sub(r"(?<!\d)0(?=\d)", "", value)]))


def _one_of(kinds: Mapping[str, str], values: Iterable[tuple[str, ...]]) -> str:
    """The condition that the columns have one of these lists of values."""
    (column, kind), *rest = kinds.items()
    if not rest:
        return _is(column, kind, [value for (value,) in values])
    grouped = [
        f"({_is(column, kind, [first])} AND {_one_of(dict(rest), [value[1:] for value in group])})"
        for first, group in groupby(sorted(values), key=lambda value: value[0])
    ]
    return f"({' OR '.join(grouped)})"


def _is(column: str, kind: str, values: Iterable[str]) -> str:
    literals = list(dict.fromkeys(literal for value in values for literal in _literals(kind, value)))
    name = sql.name(column)
    return f"{name} = {literals[0]}" if len(literals) == 1 else f"{name} IN ({', '.join(literals)})"


def _literals(kind: str, value: str) -> list[str]:
    if kind in _WHOLE_NUMBERS:
        return [str(int(value))]
    return [f"DATE {sql.string(value)}"] if kind == "date" else [sql.string(each) for each in spellings(value)]
