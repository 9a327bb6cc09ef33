"""The record, as rules use it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import trapline_sandbox
from trapline_sandbox.columns import Fields
from trapline_sandbox.copies import BYTES
from trapline_sandbox.record import Record, jsonable, records

EVENT: dict[str, Any] = {
    "event": {"action": "CreateUser", "outcome": None, "category": ["iam", "user"]},
    "source": None,
    "resources": [{"arn": "a"}, {"arn": "b"}],
    "count": 3,
}
SCHEMA = pa.schema(
    [
        ("event", pa.struct([("action", pa.string()), ("outcome", pa.string()), ("category", pa.list_(pa.string()))])),
        ("source", pa.struct([("ip", pa.string())])),
        ("resources", pa.list_(pa.struct([("arn", pa.string())]))),
        ("count", pa.int64()),
    ]
)


@pytest.fixture
def record(record_of: Callable[..., Record]) -> Record:
    return record_of(EVENT, SCHEMA)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("event.action", "CreateUser"),
        (["event", "action"], "CreateUser"),
        (("event", "action"), "CreateUser"),
        ("event.outcome", "default"),  # null
        ("source.ip", "default"),  # through a null
        ("event.action.deeper", "default"),  # through a scalar
        ("count.deeper", "default"),
        ("no.such.thing", "default"),
        ("", "default"),
        ("event.category.0", "iam"),
        ("event.category.-1", "user"),
        (["event", "category", 1], "user"),
        ("event.category.7", "default"),
        ("event.category.first", "default"),
        ("resources.1.arn", "b"),
        (["resources", 0, "arn"], "a"),
        ("resources.arn", "default"),
        (["resources", True], "default"),
    ],
)
def test_deepget(record: Record, path: Any, expected: Any) -> None:
    assert record.deepget(path, "default") == expected
    assert record.deepget(path, "default") == expected  # and again, from what is decoded by now


def test_deepget_gives_none_without_a_default(record: Record) -> None:
    assert record.deepget("source.ip") is None


def test_deepget_says_what_a_path_is(record: Record) -> None:
    with pytest.raises(TypeError, match="a path is a dotted string or a list of parts, not int"):
        record.deepget(5)  # type: ignore[arg-type]


def test_deepget_works_inside_nested_records(record: Record) -> None:
    assert record["event"].deepget("category.0") == "iam"


def test_it_is_a_mapping(record: Record) -> None:
    assert record["event"]["action"] == "CreateUser"
    assert record["source"] is None
    assert "event" in record
    assert "nope" not in record
    assert 5 not in record
    assert list(record) == ["event", "source", "resources", "count"]
    assert len(record) == 4
    assert dict(record)["count"] == 3
    assert [key for key, _ in record.items()] == list(record)


def test_get_treats_null_and_absent_alike(record: Record) -> None:
    assert record.get("count") == 3
    assert record.get("source", {}) == {}
    assert record.get("nope", "default") == "default"


def test_equality_with_dicts_both_ways_round(record: Record) -> None:
    assert record == EVENT
    assert EVENT == record  # noqa: SIM300  that is the other way round
    assert record["event"] == EVENT["event"]
    assert record != {**EVENT, "count": 4}
    assert record != 3


def test_a_missing_field_is_explained(record: Record) -> None:
    with pytest.raises(KeyError) as raised:
        record["event"]["acton"]
    assert str(raised.value) == "no field 'acton' here; did you mean 'action'? fields are action, outcome, category"


def test_attribute_access_is_explained(record: Record) -> None:
    with pytest.raises(AttributeError, match=r'write record\["event"\] or record.deepget\("event"\)'):
        _ = record.event
    with pytest.raises(AttributeError, match=r"a record has no attribute 'nope'$"):
        _ = record.nope


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.__setitem__("count", 4),
        lambda r: r.__delitem__("count"),
        lambda r: setattr(r, "count", 4),
        lambda r: delattr(r, "count"),
        lambda r: r.update(count=4),
        lambda r: r.pop("count"),
        lambda r: r.setdefault("count", 4),
    ],
)
def test_it_is_read_only(record: Record, change: Callable[[Any], None]) -> None:
    with pytest.raises(TypeError, match=r"copy with record.to_dict\(\)"):
        change(record)
    assert record == EVENT


def test_changing_what_was_handed_out_changes_nothing(record: Record) -> None:
    record["event"]["category"].append("x")
    record.deepget("event.category").clear()
    copied = record.to_dict()
    copied["event"]["action"] = "x"
    copied["resources"][0]["arn"] = "x"
    assert record == EVENT


def test_it_is_not_hashable_and_copies_to_itself(record: Record) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(record)
    assert copy.deepcopy(record) is record
    assert copy.copy(record) is record


def test_to_dict_is_plain_all_the_way_down(record: Record) -> None:
    copied = record.to_dict()
    assert copied == EVENT
    assert type(copied["event"]) is dict
    assert type(copied["resources"][0]) is dict
    assert repr(record) == f"Record({EVENT!r})"


def test_json(record_of: Callable[..., Record]) -> None:
    record = record_of(
        {
            "at": datetime(2024, 1, 2, tzinfo=UTC),
            "day": date(2024, 1, 2),
            "raw": b"\xff\x00",
            "sum": Decimal("1.10"),
            "took": timedelta(seconds=1.5),
            "nested": {"x": ["é"]},
        }
    )
    expected = {
        "at": "2024-01-02T00:00:00+00:00",
        "day": "2024-01-02",
        "raw": "/wA=",
        "sum": "1.10",
        "took": 1.5,
        "nested": {"x": ["é"]},
    }
    assert json.loads(record.to_json()) == expected
    assert json.loads(json.dumps(record, default=trapline_sandbox.plain)) == expected
    with pytest.raises(TypeError, match="a set has no JSON form"):
        json.dumps(set(), default=trapline_sandbox.plain)


def test_jsonable_takes_anything() -> None:
    loop: list[Any] = []
    loop.append(loop)
    value = {1: float("nan"), "s": "\ud800", "x": {2}, "o": object, b"k": loop, "big": 10**400}
    assert "nested too deeply" in json.dumps(jsonable(value), allow_nan=False)
    assert jsonable({"a": float("inf"), "s": "\ud800"}) == {"a": "inf", "s": "?"}


def test_values_python_cannot_hold_become_the_nearest_it_can(fields_of: Callable[[pa.RecordBatch], Fields]) -> None:
    columns = {
        "at": pa.array([2**60]).cast(pa.timestamp("s")),
        "ns": pa.array([1_999]).cast(pa.timestamp("ns", "Europe/Berlin")),
        "day": pa.array([-(2**30)], pa.int32()).cast(pa.date32()),
    }
    assert records(fields_of(pa.RecordBatch.from_pydict(columns)), range(1))[0] == {
        "at": datetime.max.replace(tzinfo=UTC),
        "ns": datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        "day": date.min,
    }


@pytest.mark.parametrize("order", ["forwards", "backwards", "every other", "twice", "from the middle"])
def test_copies_are_right_in_any_order(fields_of: Callable[..., Fields], order: str) -> None:
    rows = [{"n": n, "s": {"t": [str(n)], "u": {"v": None if n % 3 else "x"}} if n % 5 else None} for n in range(1_000)]
    made = records(fields_of(pa.RecordBatch.from_pylist(rows)), range(1_000))
    numbers = {
        "forwards": range(1_000),
        "backwards": reversed(range(1_000)),
        "every other": range(1, 1_000, 2),
        "twice": (n // 2 for n in range(1_000)),
        "from the middle": (500 + n * 7 % 500 for n in range(500)),
    }[order]
    for number in numbers:
        assert made[number].to_dict() == rows[number]
        if rows[number]["s"]:
            assert made[number]["s"].to_dict() == rows[number]["s"]


def test_no_two_copies_share_anything(fields_of: Callable[..., Fields]) -> None:
    row = {"names": ["a"], "pairs": [["b"]], "inside": {"names": ["c"]}, "many": [{"names": ["d"]}]}
    made = records(fields_of(pa.RecordBatch.from_pylist([row] * 10)), range(10))
    for record in (*made, *made):
        copied = record.to_dict()
        assert copied == row
        for names in (copied["names"], copied["pairs"][0], copied["inside"]["names"], copied["many"][0]["names"]):
            names.append("x")
        copied["pairs"].append(1)
        copied["many"][0]["x"] = copied["inside"]["x"] = 1
    assert made[3] == row


def test_a_block_of_copies_is_no_larger_than_it_may_be(fields_of: Callable[..., Fields]) -> None:
    """Where records are huge, those after the one that is wanted are not made with it."""
    fields = fields_of(pa.RecordBatch.from_pydict({"text": ["x" * (BYTES // 3)] * 20, "more": [["y" * 1_000]] * 20}))
    made = records(fields, range(20))
    for record in made[:2]:
        record.to_dict()
    start, stop, _ = fields._copies._block
    assert (start, stop - start) == (1, 2)


def test_records_may_be_deep(fields_of: Callable[..., Fields]) -> None:
    row: dict[str, Any] = {"n": 1}
    for depth in range(120):
        row = {"depth": depth, "inside": row}
    made = records(fields_of(pa.RecordBatch.from_pylist([row] * 3)), range(3))
    assert [record.to_dict() for record in made] == [row] * 3


HOSTILE = [
    "it's",
    'a "b"',
    "{",
    "}",
    "\\",
    "\n",
    "x0",
    "row",
    "None",
    "', 1: __import__('os')._exit(3), '",
    "",
    "\u2028",
    "é",
]


def test_no_name_is_taken_for_code(fields_of: Callable[..., Fields]) -> None:
    row = {name: {other: index for index, other in enumerate(HOSTILE)} for name in HOSTILE}
    made = records(fields_of(pa.RecordBatch.from_pylist([row] * 3)), range(3))
    assert [record.to_dict() for record in made] == [row] * 3


def test_one_row_of_many_decodes_only_that_row(fields_of: Callable[[pa.RecordBatch], Fields]) -> None:
    batch = pa.RecordBatch.from_pydict({"a": [str(n) for n in range(10_000)]})
    fields = fields_of(batch)
    made = records(fields, range(10_000))
    assert made[77].to_dict() == {"a": "77"}
    assert made[78].deepget("a") == "78"
    assert not isinstance(fields.paths["a"], list)
    assert [record.deepget("a") for record in made] == batch["a"].to_pylist()
    assert isinstance(fields.paths["a"], list)
