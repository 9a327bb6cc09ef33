"""The words of SQL that are the same in Athena and in DuckDB."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime


def name(text: str) -> str:
    """The name of a column or a field."""
    return '"' + text.replace('"', '""') + '"'


def dotted(path: Iterable[str]) -> str:
    """A column, or a field inside it."""
    return ".".join(map(name, path))


def string(text: str) -> str:
    """Text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def instant(moment: datetime) -> str:
    """A moment as a literal of DuckDB's."""
    return f"TIMESTAMPTZ '{moment.astimezone(UTC).isoformat(sep=' ')}'"


def unused(wish: str, taken: Collection[str]) -> str:
    """A name like the one wished for, which none of the taken ones is: names that differ in case alone are equal."""
    lowered = {other.lower() for other in taken}
    while wish.lower() in lowered:
        wish += "_"
    return wish
