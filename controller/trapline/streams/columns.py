"""Columns of Arrow as the types of a table's columns: what fits is converted without loss, what does not is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trapline.streams.values import Misfit, is_list


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns and types of the schema: what is missing is null, what is unknown is left out.

    Names are found whatever their case. Raises Misfit, with the number of the first row that has a value which does
    not fit, counted from 1, in `why`.
    """
    if table.num_columns and not {name.lower() for name in schema.names} & {n.lower() for n in table.column_names}:
        raise Misfit("it has none of the table's columns")
    try:
        return _conform(table, schema)
    except Misfit as misfit:
        number = _first(table, schema)
        raise Misfit(f"row {number}: {misfit.why}", misfit.path) from None


def _first(table: pa.Table, schema: pa.Schema) -> int:
    """The least number of rows that do not fit, which is the number of the first that does not."""
    fits, fails = 0, int(table.num_rows)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        try:
            _conform(table.slice(0, middle), schema)
            fits = middle
        except Misfit:
            fails = middle
    return fails


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = _fields([(name, table[at]) for at, name in enumerate(table.column_names)], list(schema), table.num_rows)
    return pa.Table.from_arrays(columns, schema=schema)


def _fields(found: Sequence[tuple[str, Any]], wanted: Sequence[pa.Field], rows: int) -> list[pa.Array]:
    by_name = {name.lower(): array for name, array in found} | dict(found)
    columns = []
    for field in wanted:
        array = by_name.get(field.name, by_name.get(field.name.lower()))
        if array is None:
            columns.append(pa.nulls(rows, field.type))
            continue
        try:
            columns.append(_converted(array, field.type))
        except Misfit as misfit:
            raise misfit.below(field.name) from None
    return columns


def _converted(array: Any, kind: Any) -> pa.Array:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # text of more than two gigabytes stays in several
            return pa.chunked_array([_converted(chunk, kind) for chunk in array.chunks], kind)
    if array.type == kind:
        return array
    if pa.types.is_null(array.type) or pa.types.is_null(kind):
        return pa.nulls(len(array), kind)
    if pa.types.is_struct(array.type) and pa.types.is_struct(kind):
        names = [field.name for field in array.type]
        columns = _fields(list(zip(names, array.flatten(), strict=True)), list(kind), len(array))
        return pa.StructArray.from_arrays(columns, fields=list(kind), mask=array.is_null())
    if pa.types.is_map(array.type) and pa.types.is_map(kind):
        entries = array.cast(pa.list_(pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])))
        inner = entries.flatten()
        keys, items = (
            _converted(column, wanted)
            for column, wanted in zip(inner.flatten(), (kind.key_type, kind.item_type), strict=True)
        )
        return pa.MapArray.from_arrays(_offsets(entries), keys, items, type=kind, mask=array.is_null())
    if is_list(array.type) and is_list(kind):
        listed = array.cast(pa.list_(array.type.value_type))
        values = _converted(listed.flatten(), kind.value_type)
        made = pa.ListArray.from_arrays(_offsets(listed), values, mask=listed.is_null())
        return _cast(made, kind)
    return _cast(array, kind)


def _offsets(array: Any) -> pa.Array:
    """Where each list begins in what `flatten` gives of the array, and where the last one ends."""
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])


def _cast(array: Any, kind: Any) -> pa.Array:
    if _of_time(array.type) != _of_time(kind):  # Arrow would take any number for ticks since 1970
        raise Misfit(f"{array.type} is no {kind}")
    try:
        if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(kind) and _finer(array.type, kind):
            return array.cast(kind, safe=False)  # cut off, as engines do that know no finer time
        return array.cast(kind)
    except pa.ArrowException as error:
        raise Misfit(str(error).split("\n", 1)[0]) from None


def _of_time(kind: Any) -> bool:
    return bool(pa.types.is_temporal(kind))


def _finer(found: Any, wanted: Any) -> bool:
    units = ("s", "ms", "us", "ns")
    return units.index(found.unit) > units.index(wanted.unit)
