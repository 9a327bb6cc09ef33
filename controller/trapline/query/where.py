"""A user's own condition, `[query] where`: the columns that it names, held against the schema of a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import sqlglot
from sqlglot import exp

from trapline.config.words import did_you_mean
from trapline.detection.check import Finding, placed
from trapline.detection.model import Detection
from trapline.detection.where import place_in
from trapline.errors import Problem
from trapline.query.engine import QueryError
from trapline.settings import Settings

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A column that is named, or a field inside it, from `start` of the text on."""

    path: Path
    start: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A column that is named and is not there: `message` says what, `remedy` what may be meant."""

    named: Named
    message: str
    remedy: str


def parsed(where: str) -> exp.Expr:
    """The condition. Raises QueryError `syntax` where it is not one condition in Athena's SQL."""
    try:
        return sqlglot.parse_one(where, dialect="athena", into=exp.Condition)
    except sqlglot.errors.SqlglotError as error:
        message = str(error).split("\n", 1)[0]
        raise QueryError("syntax", f"[query] where: {message}", remedy="write one condition in Athena's SQL") from error


def to_duckdb(where: str) -> str:
    """The condition as DuckDB says it. Raises QueryError `syntax`."""
    return parsed(where).sql(dialect="duckdb")


def named(where: str) -> list[Named]:
    """The columns that a condition names, in its order. Raises QueryError `syntax`."""
    found = [_named(column) for column in parsed(where).find_all(exp.Column)]
    return sorted(found, key=lambda one: one.start)


def missing(where: str, schema: pa.Schema, *, besides: Collection[str] = ()) -> Iterator[Missing]:
    """What a condition names that a table of this schema does not have; names that differ in case alone are equal.

    `besides` are columns that are not part of a record. Raises QueryError `syntax`.
    """
    for one in named(where):
        fields: list[pa.Field] = [*schema, *(pa.field(name, pa.string()) for name in besides)]
        for depth, name in enumerate(one.path):
            field = next((field for field in fields if field.name.lower() == name.lower()), None)
            if field is None and not (depth == 0 and name.startswith("$")):  # Athena's own, such as "$path"
                whole, inside = ".".join(one.path[: depth + 1]), ".".join(one.path[:depth])
                said = f"`{inside}` has no field `{name}`" if inside else f"there is no column `{whole}`"
                yield Missing(one, said, did_you_mean(name, [field.name for field in fields]))
                break
            if field is None or not pa.types.is_struct(field.type):
                break
            fields = list(field.type)


class Described(Protocol):
    """Something that knows what tables look like: an engine, for one."""

    def schema(self, table: str) -> pa.Schema:
        """Raises QueryError."""
        ...


def problems(detection: Detection, lake: Described, settings: Settings) -> list[Problem]:
    """What a detection's `where` names that its tables do not have; nothing of tables that cannot be looked up now."""
    where = detection.config.query.where
    found: dict[str, Finding] = {}
    if where is None:
        return []
    for table in detection.config.tables:
        try:
            schema = lake.schema(table)
            besides = known.partition if (known := settings.tables.get(table)) else ()
            for one in missing(where, schema, besides=besides) if schema.names else ():
                message = f"`where`, {place_in(where, one.named.start)}: {one.message} in the table {table}"
                remedy = f"{one.remedy} `trapline tables show {table}` lists its columns".strip()
                found.setdefault(message, (("query", "where"), "unknown-column", message, remedy))
        except QueryError:  # told as the trouble of the table that it is
            continue
    return placed(detection, found.values())


def _named(column: exp.Column) -> Named:
    parts = list(column.parts)
    node: exp.Expr = column
    while isinstance(node.parent, exp.Dot) and node.parent.this is node:  # a path of more than four names
        node = node.parent
        parts.append(node.expression)
    return Named(tuple(part.name for part in parts), min(part.meta.get("start", 0) for part in parts))
