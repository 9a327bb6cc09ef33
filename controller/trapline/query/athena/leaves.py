"""Records in parts: of a struct that is read in part each field is a column of the query, and put together again here.

Athena reads of a struct only the fields that a query names, so that this is what makes a scan cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from trapline.detection.inference.predicate import Path
from trapline.query import sql
from trapline.query.athena.types import Kind, restored
from trapline.query.engine import PRESENCE


@dataclass(frozen=True, slots=True)
class Leaves:
    """`columns` of a select, and the schema of the records that they make."""

    columns: tuple[str, ...]
    schema: pa.Schema
    _parted: frozenset[Path]

    def records(self, columns: Iterator[pa.Array], rows: int) -> pa.RecordBatch:
        """The records out of the columns, of which it takes its own."""
        arrays = [self._array((field.name,), field, columns, rows) for field in self.schema]
        if not arrays:  # without a column, Arrow would forget how many rows there are
            return pa.RecordBatch.from_arrays([pa.nulls(rows)], names=["none"]).select([])
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, path: Path, field: pa.Field, columns: Iterator[pa.Array], rows: int) -> pa.Array:
        if path not in self._parted:
            return restored(next(columns), field.type)
        missing = None if PRESENCE in (field.metadata or {}) else restored(next(columns), pa.bool_())
        inside = [self._array((*path, inner.name), inner, columns, rows) for inner in field.type]
        return pa.StructArray.from_arrays(inside, fields=list(field.type), mask=missing)


def leaves_of(schema: pa.Schema, kinds: Mapping[str, Kind]) -> Leaves:
    """The columns that a pruned schema needs, of a table whose columns are of these kinds."""
    columns: list[str] = []
    parted: set[Path] = set()

    def add(path: Path, field: pa.Field, whole: Kind) -> None:
        in_part = PRESENCE in (field.metadata or {})
        if not in_part and field.type.equals(whole.record, check_metadata=True):
            columns.append(whole.select(sql.dotted(path)))
            return
        parted.add(path)
        if not in_part:
            columns.append(f"{sql.dotted(path)} IS NULL")
        for inner in field.type:
            add((*path, inner.name), inner, whole.fields[inner.name])

    for field in schema:
        add((field.name,), field, kinds[field.name])
    return Leaves(tuple(columns), schema, frozenset(parted))
