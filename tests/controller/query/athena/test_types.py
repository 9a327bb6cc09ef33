"""Types as Glue writes them, and what UNLOAD made of them read back."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.detection.inference.predicate import Test
from trapline.query.athena.types import PLAIN, UnknownType, array_of, map_of, parse, restored, struct_of
from trapline.query.condition import condition

_GLUE = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.date32(): "date",
    pa.binary(): "binary",
    pa.timestamp("ms", "UTC"): "timestamp",
    pa.decimal128(9, 2): "decimal(9,2)",
    pa.decimal128(38, 0): "decimal(38,0)",
}
_LEAVES = st.sampled_from(list(_GLUE))
_NAMES = st.text("abcXYZ_019@-", min_size=1, max_size=6)


def _struct(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    fields = st.lists(st.tuples(_NAMES, inner), min_size=1, max_size=4, unique_by=lambda field: field[0])
    return fields.map(pa.struct)


_TYPES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        inner.map(pa.list_), st.tuples(_LEAVES, inner).map(lambda pair: pa.map_(*pair)), _struct(inner)
    ),
    max_leaves=8,
)


def in_glue(kind: pa.DataType) -> str:
    """A type as Glue writes it."""
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{field.name}:{in_glue(field.type)}' for field in kind)}>"
    if pa.types.is_list(kind):
        return f"array<{in_glue(kind.value_type)}>"
    return f"map<{in_glue(kind.key_type)},{in_glue(kind.item_type)}>" if pa.types.is_map(kind) else _GLUE[kind]


@given(_TYPES, st.booleans())
def test_what_glue_writes_is_read_back(kind: pa.DataType, spaced: bool) -> None:
    text = in_glue(kind)
    assert parse(text.replace(",", " , ").replace("<", "< ") if spaced else text).record == kind


@given(st.text("struct<>:,array()0 x", max_size=30))
def test_what_is_no_type_is_said_to_be_none(text: str) -> None:
    try:
        kind = parse(text)
    except UnknownType:
        return
    assert isinstance(kind.record, pa.DataType)


@pytest.mark.parametrize(
    "text",
    ["", "uniontype<int,string>", "struct<>", "struct<a>", "array<int", "map<int>", "int>", "decimal(50,2)", "int(3)",
     "decimal(2,3)", "varchar(x)", "array<int>x"],
)  # fmt: skip
def test_other_types_are_unknown(text: str) -> None:
    with pytest.raises(UnknownType):
        parse(text)


@pytest.mark.parametrize(
    ("text", "record", "cast"),
    [
        ("VARCHAR(20)", pa.string(), None),
        ("char(3)", pa.string(), None),
        ("decimal", pa.decimal128(10, 0), None),
        ("timestamp(3)", pa.timestamp("ms", "UTC"), None),
        ("timestamp(6)", pa.timestamp("us", "UTC"), "varchar"),
        ("timestamp(6) with time zone", pa.timestamp("us", "UTC"), "varchar"),
        ("time(6)", pa.time64("us"), "varchar"),
        ("uuid", pa.string(), "varchar"),
        ("array<struct<at:timestamp with time zone,n:int>>",
         pa.list_(pa.struct([("at", pa.timestamp("us", "UTC")), ("n", pa.int32())])),
         'ARRAY(ROW("at" varchar, "n" integer))'),
        ("map<string,uuid>", pa.map_(pa.string(), pa.string()), "MAP(varchar, varchar)"),
        ("map<string,struct<f:float,b:binary,d:decimal(9,2),t:timestamp>>", None, None),
    ],
)  # fmt: skip
def test_what_unload_cannot_write_is_cast(text: str, record: pa.DataType | None, cast: str | None) -> None:
    kind = parse(text)
    assert record is None or kind.record == record
    assert kind.select('"x"') == (f'CAST("x" AS {cast})' if cast else '"x"')


def test_what_athena_compares_in_another_way_is_not_asked_about() -> None:
    """Padded text is equal to more than the record's is, and a UUID cannot be compared with text at all."""
    kind = parse("struct<id:uuid,code:array<char(3)>,name:string,by:map<string,uuid>>")
    schema = pa.schema(list(kind.asked))
    for path in (("id",), ("code",), ("by",)):
        for test in (Test(path, "eq", "x"), Test(path, "eq", "x", outcome="false"), Test(path, "contains", "x")):
            assert condition(test, schema).sql in ("TRUE", f'"{path[0]}" IS NOT NULL', "FALSE")
    assert condition(Test(("id",), "eq", "x"), schema).always
    assert condition(Test(("code",), "contains", "x"), schema).always
    assert condition(Test(("name",), "eq", "x"), schema).sql == "\"name\" = 'x'"


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        (pa.array(["2026-01-02 03:04:05.678901 UTC", None]), "timestamptz", MOMENT),
        (pa.array(["2026-01-02 03:04:05.678901", None]), "timestamp_micros", MOMENT),
        (pa.array(["2026-01-02 03:04:05.678901+00", None]), "timestamptz", MOMENT),
        (pa.array(["03:04:05.678901", None]), "time", time(3, 4, 5, 678901)),
        (pa.array([MOMENT.replace(tzinfo=None), None], pa.timestamp("ns")), "timestamp",
         MOMENT.replace(microsecond=678000)),
        (pa.array(["a", None], pa.large_string()), "string", "a"),
        (pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)), "decimal", Decimal(2)),
    ],
)  # fmt: skip
def test_what_was_written_is_read_back(written: pa.Array, name: str, value: object) -> None:
    kind = PLAIN[name].record
    if name == "decimal":
        with pytest.raises(pa.ArrowInvalid):  # digits are never dropped
            restored(written, kind)
        return
    assert restored(written, kind).type == kind
    assert restored(written, kind).to_pylist() == [value, None]


def test_nested_values_are_read_back_wherever_they_lie() -> None:
    kind = struct_of([("Id", PLAIN["string"]), ("seen", array_of(map_of(PLAIN["string"], PLAIN["timestamptz"])))])
    text, moment = "2026-01-02 03:04:05.678901 UTC", MOMENT
    written = pa.array(
        [{"id": "0", "seen": []}, {"id": "a", "seen": [[("x", text)], None]}, None, {"id": None, "seen": None}],
        pa.struct([("id", pa.string()), ("seen", pa.list_(pa.map_(pa.string(), pa.string())))]),
    )
    expected = [{"Id": "a", "seen": [[("x", moment)], None]}, None, {"Id": None, "seen": None}]
    assert restored(written, kind.record).to_pylist()[1:] == expected
    assert restored(written.slice(1), kind.record).to_pylist() == expected
    assert restored(written.slice(1), kind.record).type == kind.record
