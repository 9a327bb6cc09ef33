"""What a scan asks Athena: a SELECT for UNLOAD to write, and how its columns become records again.

A scan of a few rows takes their records whole. Where some rule can have something to say of every row, or whole records
are dear, the scan takes the columns that the rules read, and where each row lies: its file and its id, by which it is
asked for if it matters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pyarrow as pa

from trapline.query import sql
from trapline.query.athena.catalog import AthenaTable
from trapline.query.athena.errors import query_error
from trapline.query.athena.leaves import Leaves, leaves_of
from trapline.query.athena.partitions import conditions
from trapline.query.athena.types import restored
from trapline.query.cover import rows_of
from trapline.query.engine import ScanBatch, Wanted
from trapline.query.outcomes import ANY, NONE
from trapline.query.pruning import prune
from trapline.query.where import parsed
from trapline.window import Window

LONGEST = 250_000
"""So many bytes a query may have; Athena takes 262,144."""

FILE = '"$path"'


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT, and what its columns are: those of records, then the marks of `wheres`, the audit's, the positions."""

    select: str
    leaves: Leaves
    wheres: tuple[str, ...] = ()
    audited: bool = False
    located: bool = False

    def split(self, batch: pa.RecordBatch) -> ScanBatch:
        """What UNLOAD wrote as the rows of a scan."""
        columns = iter(batch.columns)
        records = self.leaves.records(columns, batch.num_rows)
        where = {text: restored(next(columns), pa.bool_()) for text in self.wheres}
        audited = restored(next(columns), pa.bool_()) if self.audited else None
        positions = list(columns) if self.located else None
        return ScanBatch(records, positions and pa.RecordBatch.from_arrays(positions, names=POSITION), audited, where)


POSITION = ["file", "id"]


class Locate(Enum):
    """When a scan takes the columns that its rules read, and where each row lies, in place of whole records."""

    NEVER = "never"
    ALL = "where every row may matter"
    ANY = "always"


class Asking:
    """What is asked of one table over one window."""

    def __init__(self, table: AthenaTable, window: Window) -> None:
        self._table = table
        self._alias = sql.name(sql.unused("t", table.taken))  # a column of this name would make t.x ambiguous
        self._within = " AND ".join([*_times(table, window), *conditions(table, window)])
        self.id = None if table.view else _id_of(table)

    def rows(self, wanted: Wanted, locate: Locate) -> Statement | None:
        """The rows that are wanted; None where there are none. Without an id of its records no row can be located."""
        for where in wanted.wheres:
            parsed(where)  # nothing that is no condition comes into the query
        spelled = {where: where for where in wanted.wheres}
        rows = rows_of(wanted.parts, self._table.asked, spelled=spelled, unnested=False)
        if rows == NONE and not wanted.audit:
            return None
        statement = self._statement(wanted, rows, locate)
        if len(statement.select.encode()) > LONGEST:  # more may come than is wanted, never less
            statement = self._statement(wanted, ANY, locate)
        return _checked(statement, self._table)

    def whole(self, places: Collection[tuple[str, Any]]) -> Statement:
        """The rows of these files with these ids, whole, each with its position. More may come.

        One query, however many they are: another one would read the files once more, and that is what costs.
        """
        assert self.id is not None
        files = ", ".join(sql.string(file) for file in sorted({file for file, _ in places}))
        ids = ", ".join(dict.fromkeys(literal(id) for _, id in places if id is not None))
        known = f"{self.id} IN ({ids})" if ids else ""
        unknown = f"{self.id} IS NULL" if any(id is None for _, id in places) else ""
        asked = " OR ".join(filter(None, [known, unknown]))
        leaves = leaves_of(self._table.schema, self._table.columns)
        columns = [*leaves.columns, FILE, self.id]
        in_files = f"{self._within} AND {FILE} IN ({files})"
        shorter = (self._select(columns, condition) for condition in (f"{in_files} AND ({asked})", in_files))
        fitting = next((select for select in shorter if len(select.encode()) <= LONGEST), None)
        return Statement(fitting or self._select(columns, self._within), leaves, located=True)

    def latest(self) -> str:
        """The newest time within the window, in seconds."""
        return self._select([f"to_unixtime(max({_time(self._table)}))"], self._within)

    def _statement(self, wanted: Wanted, rows: str, locate: Locate) -> Statement:
        worth_it = locate is Locate.ANY or (locate is Locate.ALL and rows == ANY)
        by_place = worth_it and self.id is not None and wanted.reads is not None
        schema = self._table.schema
        pruned = prune(schema, wanted.reads).schema if by_place and wanted.reads is not None else schema
        leaves = leaves_of(pruned, self._table.columns)
        columns = [*leaves.columns, *(f"coalesce(({where}), FALSE)" for where in wanted.wheres)]
        columns += [FILE, self.id] if by_place and self.id else []
        statement = Statement("", leaves, wanted.wheres, wanted.audit > 0, by_place)
        return replace(statement, select=self._with_audit(columns, rows, wanted.audit, last=2 if by_place else 0))

    def _with_audit(self, columns: Sequence[str], rows: str, share: float, *, last: int) -> str:
        """Of all rows some at random: Athena numbers no rows, so that there are no blocks of them to choose from."""
        if not share:
            return self._select(columns, self._within if rows == ANY else f"{self._within} AND ({rows})")
        at = len(columns) - last
        chosen = [*columns[:at], f"rand() < {share:.9f}", *columns[at:]]
        if rows == ANY:
            return self._select(chosen, self._within)
        # Chance has to be asked once for each row, so that what chose the row is what marks it.
        inner = self._select([*chosen, rows], self._within)
        names = ", ".join(f"c{number}" for number in range(len(chosen)))
        return f"SELECT {names} FROM ({inner}) WHERE c{at} OR c{len(chosen)}"

    def _select(self, columns: Sequence[str], condition: str) -> str:
        # UNLOAD wants a name for every column, and no two alike.
        named = ", ".join(f"{column} AS c{number}" for number, column in enumerate(columns))
        return f"SELECT {named} FROM {self._table.relation} AS {self._alias} WHERE {condition}"


def literal(value: Any) -> str:
    """An id in SQL."""
    return str(value) if isinstance(value, int) else sql.string(str(value))


def instant(moment: datetime) -> str:
    """A moment as Athena's literal. Its times without a zone are UTC, and so are its sessions."""
    digits = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return f"TIMESTAMP '{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec=digits)}'"


def _checked(statement: Statement, table: AthenaTable) -> Statement:
    size = len(statement.select.encode())
    if size > LONGEST:
        raise query_error("syntax", f"the query has {size:,} bytes, Athena takes at most 262,144", table=table.name)
    return statement


def _time(table: AthenaTable) -> str:
    return sql.name(table.settings.time)


def _times(table: AthenaTable, window: Window) -> list[str]:
    return [f"{_time(table)} >= {instant(window.start)}", f"{_time(table)} < {instant(window.end)}"]


def _id_of(table: AthenaTable) -> str | None:
    """The records' id in SQL; None where they have none that can be asked for."""
    first, *rest = path = (table.settings.id or "").split(".")
    kind = table.columns.get(first)
    for name in rest:
        kind = kind.fields.get(name) if kind else None
    asked = kind.asked if kind else pa.null()
    return sql.dotted(path) if pa.types.is_string(asked) or pa.types.is_integer(asked) else None
