"""Batches of any types, slices of them, batches that lack something, and what their records say as plain dicts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from trapline.workers.interface import PRESENCE_UNKNOWN


def _floored(unit: str) -> Callable[[Any], Any]:
    step = {"s": 1_000_000, "ms": 1_000}.get(unit, 1)
    return lambda moment: moment.replace(microsecond=moment.microsecond // step * step)


def _instants(unit: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(_floored(unit))


def _integers(kind: pa.DataType) -> st.SearchStrategy[int]:
    bits = kind.bit_width
    if pa.types.is_unsigned_integer(kind):
        return st.integers(0, 2**bits - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
CLOCKS = [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]
SCALARS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    *((kind, _integers(kind)) for kind in INTEGERS),
    (pa.float16(), st.floats(width=16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.decimal128(20, 3), st.decimals(-(10**15), 10**15, places=3)),
    (pa.decimal256(60, 2), st.decimals(-(10**15), 10**15, places=2)),
    (pa.string(), st.text()),
    (pa.large_string(), st.text()),
    (pa.string_view(), st.text()),
    (pa.binary(), st.binary()),
    (pa.large_binary(), st.binary()),
    (pa.binary_view(), st.binary()),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    *((pa.timestamp(unit), _instants(unit)) for unit in ("s", "ms", "us", "ns")),
    (pa.timestamp("us", "UTC"), _instants("us")),
    (pa.timestamp("ms", "Asia/Kolkata"), _instants("ms")),
    *((kind, st.times().map(_floored(kind.unit))) for kind in CLOCKS),
    (pa.duration("us"), st.timedeltas(timedelta(-9999), timedelta(9999))),
]


Kind = tuple[pa.DataType, st.SearchStrategy[Any]]


def _struct(parts: list[Kind]) -> Kind:
    kind = pa.struct([(f"f{index}", part[0]) for index, part in enumerate(parts)])
    return kind, st.fixed_dictionaries({f"f{index}": st.none() | part[1] for index, part in enumerate(parts)})


def _list(make: Callable[[pa.DataType], pa.DataType], item: Kind) -> Kind:
    return make(item[0]), st.lists(st.none() | item[1], max_size=3)


def _pair(item: Kind) -> Kind:
    return pa.list_(item[0], 2), st.lists(st.none() | item[1], min_size=2, max_size=2)


def _map(item: Kind) -> Kind:
    entries = st.dictionaries(st.text(max_size=3), st.none() | item[1], max_size=3)
    return pa.map_(pa.string(), item[0]), entries.map(lambda entries: list(entries.items()))


def _nested(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(_struct),
        st.builds(_list, st.sampled_from([pa.list_, pa.large_list, pa.list_view]), inner),
        inner.map(_pair),
        inner.map(_map),
    )


KINDS = st.recursive(st.sampled_from(SCALARS), _nested, max_leaves=4)


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """A batch of columns of any types, or a slice of one."""
    kinds = draw(st.lists(KINDS, min_size=1, max_size=3))
    length = draw(st.integers(0, 20))
    columns = []
    for kind, values in kinds:
        column = pa.array(draw(st.lists(st.none() | values, min_size=length, max_size=length)), kind)
        encodable = pa.types.is_string(kind) or pa.types.is_integer(kind)
        columns.append(column.dictionary_encode() if encodable and draw(st.booleans()) else column)
    batch = pa.RecordBatch.from_arrays(columns, [f"c{index}" for index in range(len(columns))])
    return batch.slice(draw(st.integers(0, length)), draw(st.integers(0, length)))


def expected(value: Any, kind: pa.DataType) -> Any:
    """What pyarrow says, in the record's terms: times in UTC, maps as dicts."""
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if pa.types.is_struct(kind):
        return {field.name: expected(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return {key: expected(item, kind.item_type) for key, item in value}
    if hasattr(kind, "value_field") and not pa.types.is_dictionary(kind):
        return [expected(item, kind.value_type) for item in value]
    return value


def plain_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The records as plain dicts, as pyarrow reads them."""
    return [{field.name: expected(row[field.name], field.type) for field in batch.schema} for row in batch.to_pylist()]


@st.composite
def partial(draw: st.DrawFn, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without some of its columns, some fields of its structs, and some of the nulls of these."""
    kept = [
        _pruned(draw, field, column)
        for field, column in zip(batch.schema, batch.columns, strict=True)
        if draw(st.booleans())
    ]
    length = pa.array([None] * batch.num_rows)
    kept = kept or [(pa.field("only_for_its_length", pa.null()), length)]
    return pa.RecordBatch.from_arrays([column for _, column in kept], schema=pa.schema([field for field, _ in kept]))


def _pruned(draw: st.DrawFn, field: pa.Field, array: pa.Array) -> tuple[pa.Field, pa.Array]:
    if not pa.types.is_struct(field.type) or draw(st.booleans()):
        return field, array
    kept = [
        _pruned(draw, inner, array.field(index))
        for index, inner in enumerate(field.type)
        if not index or draw(st.booleans())
    ]
    fields, arrays = [inner for inner, _ in kept], [inner for _, inner in kept]
    if draw(st.booleans()):
        return pa.field(field.name, pa.struct(fields)), pa.StructArray.from_arrays(
            arrays, fields=fields, mask=array.is_null()
        )
    nulls = pa.array(draw(st.lists(st.booleans(), min_size=len(array), max_size=len(array))), pa.bool_())
    hollow = pa.StructArray.from_arrays(arrays, fields=fields, mask=nulls)
    return pa.field(field.name, hollow.type, metadata=PRESENCE_UNKNOWN), hollow
