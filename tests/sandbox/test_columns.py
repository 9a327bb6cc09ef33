"""Every Arrow type a table can have, against pyarrow's own reading of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline.workers.wire import UnreadableColumn, batch_frame
from trapline_sandbox.columns import Fields
from trapline_sandbox.record import records


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
    (pa.float16(), st.floats(width=16, allow_nan=False)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
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


def _expected(value: Any, kind: pa.DataType) -> Any:
    """What pyarrow says, in the record's terms: times in UTC, maps as dicts."""
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if pa.types.is_struct(kind):
        return {field.name: _expected(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return {key: _expected(item, kind.item_type) for key, item in value}
    if hasattr(kind, "value_field") and not pa.types.is_dictionary(kind):
        return [_expected(item, kind.value_type) for item in value]
    return value


@settings(max_examples=300, deadline=None)
@given(batch=batches())
def test_every_reading_agrees_with_pyarrow(
    fields_of: Callable[[pa.RecordBatch], Fields], batch: pa.RecordBatch
) -> None:
    expected = [
        {field.name: _expected(row[field.name], field.type) for field in batch.schema} for row in batch.to_pylist()
    ]
    one_by_one, touched = fields_of(batch), fields_of(batch)
    assert [record.to_dict() for record in records(one_by_one, range(batch.num_rows))] == expected
    for row, record in enumerate(records(touched, range(batch.num_rows))):
        assert record == expected[row]
        for name, value in expected[row].items():
            assert record[name] == value
            for key, item in value.items() if isinstance(value, dict) else ():
                assert record.deepget([name, key]) == item
    assert [record.to_dict() for record in records(touched, range(batch.num_rows))] == expected


def test_types_of_the_reading(fields_of: Callable[[pa.RecordBatch], Fields]) -> None:
    """Equality alone would let 1 pass for True, and 1.0 for Decimal(1)."""
    values = {"flag": True, "count": 1, "sum": Decimal("1.50"), "day": date(2024, 1, 1), "raw": b"x"}
    record = records(fields_of(pa.RecordBatch.from_pylist([values])), range(1))[0]
    assert {name: type(value) for name, value in record.items()} == {name: type(v) for name, v in values.items()}
    assert str(record["sum"]) == "1.50"


@pytest.mark.parametrize("start", [0, 1, 3])
def test_encodings_of_other_readers(fields_of: Callable[[pa.RecordBatch], Fields], start: int) -> None:
    uuid = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef", None] * 3, pa.binary(16)))
    columns = {
        "runs": pc.run_end_encode(pa.array([1, 1, None, 2, 2, 2])),
        "uuid": uuid,
        "inside": pa.StructArray.from_arrays([uuid], ["id"]),
        "words": pa.array([{"x": 1}, None, {"x": 2}, {"x": 2}, None, None]),
    }
    batch = pa.RecordBatch.from_pydict(columns).slice(start)
    made = records(fields_of(batch), range(batch.num_rows))
    storage = uuid.storage.to_pylist()[start:]
    assert [record["runs"] for record in made] == [1, 1, None, 2, 2, 2][start:]
    assert [record["uuid"] for record in made] == storage
    assert [record.deepget("inside.id") for record in made] == storage
    assert [record["words"] for record in made] == columns["words"].to_pylist()[start:]


def test_invalid_utf8_does_not_hide_a_record(fields_of: Callable[[pa.RecordBatch], Fields]) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.array([0, 2, 4], pa.int32()).buffers()[1], pa.py_buffer(b"\xffaok")]
    )
    made = records(fields_of(pa.RecordBatch.from_arrays([broken], ["s"])), range(2))
    assert [record["s"] for record in made] == ["\ufffda", "ok"]


def test_buffers_are_cut_to_the_slice() -> None:
    """A worker gets the rows it is asked about, not the table they are a slice of."""
    batch = pa.RecordBatch.from_pydict({"s": ["x" * 100] * 1000, "l": [[{"n": n}] * 10 for n in range(1000)]})
    assert sum(map(len, batch_frame(batch.slice(500, 2), 1))) < 2000


def test_a_type_no_rule_can_read_is_named() -> None:
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(UnreadableColumn, match="column u has the type sparse_union") as raised:
        batch_frame(pa.RecordBatch.from_arrays([union], ["u"]), 1)
    assert raised.value.remedy
