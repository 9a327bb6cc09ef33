"""Which columns are read, of a table in SQL or of a batch in memory: of a struct only the fields that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from trapline.detection.inference.predicate import Path
from trapline.detection.inference.reads import Read
from trapline.query import sql
from trapline.query.engine import PRESENCE, UNKNOWN


@dataclass(slots=True)
class _Part:
    """What is read of one place: all of it, whether it is there, and what of its fields."""

    whole: bool = False
    presence: bool = False
    fields: dict[str, _Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pruned:
    """The columns of a select, and their schema; a struct that is read in part carries PRESENCE."""

    columns: tuple[str, ...]
    schema: pa.Schema


def prune(schema: pa.Schema, reads: Iterable[Read]) -> Pruned:
    """The columns that hold what is read, in the schema's order. What is not in the schema is left out."""
    root = _marked(schema, reads)
    kept = [column for column in schema if column.name in root.fields]
    columns = [f"{_select((c.name,), c, root.fields[c.name])} AS {sql.name(c.name)}" for c in kept]
    return Pruned(tuple(columns), pa.schema([_field(column, root.fields[column.name]) for column in kept]))


def narrowed(batch: pa.RecordBatch, reads: Iterable[Read]) -> pa.RecordBatch:
    """A batch with nothing but what is read; no value is copied."""
    root = _marked(batch.schema, reads)
    kept = [
        (field, column) for field, column in zip(batch.schema, batch.columns, strict=True) if field.name in root.fields
    ]
    pairs = [_narrow(field, column, root.fields[field.name]) for field, column in kept]
    if not pairs:  # without a column, Arrow would forget how many rows there are
        return batch.select([])
    return pa.RecordBatch.from_arrays([array for _, array in pairs], schema=pa.schema([field for field, _ in pairs]))


def _narrow(column: pa.Field, array: pa.Array, part: _Part) -> tuple[pa.Field, pa.Array]:
    if part.whole:
        return column, array
    parts = _parts(column, part)
    inside = [
        _narrow(inner, array.field(index), parts[inner.name])
        for index, inner in enumerate(column.type)
        if inner.name in parts
    ]
    fields = [field for field, _ in inside]
    mask = array.is_null() if array.null_count else None
    made = pa.StructArray.from_arrays([each for _, each in inside], fields=fields, mask=mask)
    return column.with_type(pa.struct(fields)), made


def _marked(schema: pa.Schema, reads: Iterable[Read]) -> _Part:
    root = _Part()
    for read in reads:
        _mark(root, list(schema), read)
    return root


def _mark(part: _Part, fields: list[pa.Field], read: Read) -> None:
    """Adds one read to what is read below a part. Through a list or a map it is the whole of that."""
    marked, names = [], list(read.path)
    while names:
        found = next((field for field in fields if field.name == names[0]), None)
        if found is None:
            return
        marked.append((names.pop(0), found))
        if not pa.types.is_struct(found.type):
            break
        fields = list(found.type)
    for step, _ in marked:
        part = part.fields.setdefault(step, _Part())
    struct = bool(marked) and pa.types.is_struct(marked[-1][1].type)
    part.whole |= read.whole or not struct
    part.presence |= struct


def _select(path: Path, column: pa.Field, part: _Part) -> str:
    value = sql.dotted(path)
    if part.whole:
        return value
    parts = _parts(column, part)
    packed = ", ".join(
        f"{sql.name(inner.name)} := {_select((*path, inner.name), inner, parts[inner.name])}"
        for inner in column.type
        if inner.name in parts
    )
    # Whether a struct is null is known only from all of its fields: too much to read where nobody asks.
    return (
        f"CASE WHEN {value} IS NOT NULL THEN struct_pack({packed}) END" if part.presence else f"struct_pack({packed})"
    )


def _field(column: pa.Field, part: _Part) -> pa.Field:
    """The field of what `_select` reads."""
    if part.whole:
        return column
    parts = _parts(column, part)
    inside = [_field(inner, parts[inner.name]) for inner in column.type if inner.name in parts]
    pruned = pa.field(column.name, pa.struct(inside))
    return pruned if part.presence else pruned.with_metadata({PRESENCE: UNKNOWN})


def _parts(column: pa.Field, part: _Part) -> dict[str, _Part]:
    """The fields of a struct that are read; one of them where only the struct's presence is: it cannot have none."""
    return part.fields or {column.type.field(0).name: _Part(whole=True)}
