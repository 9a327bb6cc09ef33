"""Arrow types that need a word of their own; that all of them are read right is in test_model.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from trapline.workers.wire import UnreadableColumn, batch_frame
from trapline_sandbox.columns import Fields
from trapline_sandbox.record import records


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


@pytest.mark.parametrize("start", [0, 3])
def test_what_is_said_again_and_again_is_sent_once(fields_of: Callable[..., Fields], start: int) -> None:
    few = [None if n % 7 == 0 else f"é{n % 5}" for n in range(6_000)]
    columns = {
        "few": few,
        "many": [str(n) for n in range(6_000)],
        "bytes": pa.array([b"x" * 50] * 6_000, pa.large_binary()),
        "inside": [None if n % 3 == 0 else {"few": few[n]} for n in range(6_000)],
        "lists": [[few[n], "z"] for n in range(6_000)],
    }
    batch = pa.RecordBatch.from_pydict(columns).slice(start)
    plainly = sum(column.get_total_buffer_size() for column in batch.columns)
    assert sum(map(len, batch_frame(batch, 1))) < plainly / 2
    made = records(fields_of(batch), range(batch.num_rows))
    expected = batch.to_pylist()
    assert [record.to_dict() for record in made] == expected
    assert [record["few"] for record in made] == [row["few"] for row in expected]
    assert [record.deepget("inside.few") for record in made] == [(row["inside"] or {}).get("few") for row in expected]


def test_a_type_no_rule_can_read_is_named() -> None:
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(UnreadableColumn, match="column u has the type sparse_union") as raised:
        batch_frame(pa.RecordBatch.from_arrays([union], ["u"]), 1)
    assert raised.value.remedy


def test_the_get_of_a_map_takes_null_for_absent_as_a_records_does(
    fields_of: Callable[[pa.RecordBatch], Fields],
) -> None:
    kind = pa.map_(pa.string(), pa.string())
    batch = pa.record_batch({"tags": pa.array([[("owner", None), ("team", "red")]], kind)})
    [record] = records(fields_of(batch), range(1))
    tags = record["tags"]
    assert tags == {"owner": None, "team": "red"}
    assert (tags["owner"], tags.get("owner", "nobody"), tags.get("team", "none"), tags.get("x")) == (
        None,
        "nobody",
        "red",
        None,
    )
    assert record.deepget("tags.owner", "nobody") == "nobody"
    assert type(record.to_dict()["tags"]) is dict


def test_a_dictionary_without_values_is_all_null(fields_of: Callable[[pa.RecordBatch], Fields]) -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array([], pa.string()), safe=False)
    outer = pa.StructArray.from_arrays([words], ["word"], mask=pa.array([True, True]))
    made = records(fields_of(pa.record_batch({"outer": outer})), range(2))
    assert [record.deepget("outer.word", "none") for record in made] == ["none", "none"]
    assert [record.to_dict() for record in made] == [{"outer": None}] * 2
