"""Bytes as records of a table: what fits, what does not, and what was never whole."""

from __future__ import annotations

import base64
import gzip
import io
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trapline.query.connection import connect, reader
from trapline.settings import StreamSettings
from trapline.streams.decode import Decoder
from trapline.streams.source import Parcel, Spoiled
from trapline.tables.cloudtrail import SCHEMA

zipped = partial(gzip.compress, mtime=0)  # the same bytes each time: cases are named by them
LANDED = datetime(2024, 5, 1, tzinfo=UTC)
AT = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
TIMES = pa.timestamp("us", tz="UTC")
FIELDS = pa.schema(
    [
        ("ts", TIMES),
        ("user", pa.struct([("name", pa.string()), ("age", pa.int16())])),
        ("tags", pa.list_(pa.string())),
        ("counts", pa.map_(pa.string(), pa.int64())),
        ("score", pa.float64()),
        ("ok", pa.bool_()),
    ]
)
EVENT = {"eventTime": "2024-05-01T12:00:00Z", "eventName": "CreateUser", "eventID": "1"}


def decoded(content: bytes, schema: pa.Schema = FIELDS, name: str = "", **more: Any) -> list[Parcel | Spoiled]:
    decoder = Decoder(schema, StreamSettings.model_validate({"type": "directory"} | more))
    return decoder.parcels(content, key="k", landed_at=LANDED, origin="o", name=name)


def records(content: bytes, schema: pa.Schema = FIELDS, name: str = "", **more: Any) -> list[dict[str, Any]]:
    [parcel] = decoded(content, schema, name, **more)
    assert isinstance(parcel, Parcel), parcel
    assert parcel.records.schema == schema
    parcel.records.validate(full=True)
    return parcel.records.to_pylist()


def reason(content: bytes, schema: pa.Schema = FIELDS, name: str = "", **more: Any) -> str:
    [spoiled] = decoded(content, schema, name, **more)
    assert isinstance(spoiled, Spoiled), spoiled
    assert (spoiled.key, spoiled.origin, spoiled.landed_at) == ("k", "o", LANDED)
    return spoiled.reason


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


ROW = {
    "ts": "2024-05-01T12:00:00.123456Z",
    "user": {"name": "ada", "age": 36},
    "tags": ["a", None],
    "counts": {"x": 1},
    "score": 1,
    "ok": True,
}
READ = ROW | {"ts": AT, "counts": [("x", 1)], "score": 1.0}
EMPTY = dict.fromkeys(FIELDS.names)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (lines(ROW, ROW), "x.jsonl"),
        (lines(ROW, ROW), "x.bin"),
        (b"\n" + lines(ROW) + b"\r\n" + lines(ROW), "x.ndjson"),
        (zipped(lines(ROW, ROW)), "x.jsonl.gz"),
        (zipped(lines(ROW)) + zipped(lines(ROW)) + b"\0\0", "two members"),
        (zipped(lines(ROW, ROW)), ""),
        (json.dumps([ROW, ROW]).encode(), "x.json"),
        (json.dumps([ROW, ROW], indent=2).encode(), "x.json"),
        (json.dumps({"Records": [ROW, ROW]}, indent=2).encode(), "x.json"),
    ],
)
def test_json_in_each_of_its_forms(content, name):
    assert records(content, name=name) == [READ, READ]


@pytest.mark.parametrize("content", [b"", b" \n", zipped(b""), b"[]", b'{"Records": []}'])
def test_nothing_is_a_parcel_of_no_records(content):
    assert records(content, name="x.json") == []
    assert records(content, SCHEMA, format="cloudtrail") == []


def test_missing_columns_are_null_and_unknown_ones_left_out():
    assert records(lines({"OK": True, "new": 1}, {"user": {"NAME": "ada", "x": {}}})) == [
        EMPTY | {"ok": True},
        EMPTY | {"user": {"name": "ada", "age": None}},
    ]
    table = pa.table({"Ok": [True], "user": [{"Name": "ada", "more": 1}], "new": [1]})
    assert records(parquet(table)) == [EMPTY | {"ok": True, "user": {"name": "ada", "age": None}}]


def test_a_table_with_a_column_records_keeps_it():
    schema = pa.schema([("Records", pa.list_(pa.int64()))])
    assert records(b'{"Records": [1, 2]}', schema) == [{"Records": [1, 2]}]


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        (pa.string(), "ü", "ü"),
        (pa.string(), 5, "5"),
        (pa.string(), {"a": [1]}, '{"a":[1]}'),
        (pa.string(), "\ud800x", "\ufffdx"),
        (pa.large_string(), "x", "x"),
        (pa.dictionary(pa.uint8(), pa.string()), "x", "x"),
        (pa.int8(), -128, -128),
        (pa.int64(), 2**63 - 1, 2**63 - 1),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.int32(), 7.0, 7),
        (pa.int32(), "7", 7),
        (pa.float64(), 7, 7.0),
        (pa.float32(), "0.5", 0.5),
        (pa.bool_(), "true", True),
        (pa.bool_(), False, False),
        (pa.null(), "anything", None),
        (pa.date32(), "2024-05-01", date(2024, 5, 1)),
        (pa.time64("us"), "12:30:00.5", time(12, 30, 0, 500_000)),
        (pa.decimal128(38, 0), 10**37, Decimal(10**37)),
        (pa.decimal128(10, 2), "1.50", Decimal("1.50")),
        (pa.decimal128(10, 2), 0.1, Decimal("0.10")),
        (pa.binary(), "AAE=", b"\0\1"),
        (TIMES, "2024-05-01T12:00:00.123456Z", AT),
        (TIMES, "2024-05-01 14:00:00.123456999+02:00", AT),
        (TIMES, "2024-05-01T12:00:00.123456", AT),
        (pa.timestamp("us"), "2024-05-01T14:00:00.123456+02:00", AT.replace(tzinfo=None)),
        (pa.timestamp("ms"), "2024-05-01T12:00:00.123999Z", AT.replace(tzinfo=None, microsecond=123_000)),
        (pa.timestamp("s"), "1969-12-31T23:59:59.9Z", datetime(1969, 12, 31, 23, 59, 59)),
        (pa.timestamp("us"), "1969-12-31T23:59:59.9Z", datetime(1969, 12, 31, 23, 59, 59, 900_000)),
        (pa.list_(pa.struct([("a", pa.int64())])), [{"a": 1}, None, {}], [{"a": 1}, None, {"a": None}]),
        (pa.list_(pa.int64(), 2), [1, 2], [1, 2]),
        (pa.map_(pa.int64(), pa.list_(pa.string())), {"1": ["x"], "2": None}, [(1, ["x"]), (2, None)]),
        (pa.struct([("a", pa.struct([("b", pa.int8())]))]), {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_value_as_its_type(kind, value, wanted):
    schema = pa.schema([("c", kind)])
    assert records(lines({"c": value}, {"c": None}), schema) == [{"c": wanted}, {"c": None}]


def test_nanoseconds_are_kept_where_the_column_has_them():
    [parcel] = decoded(b'{"c": "2024-05-01T12:00:00.123456789Z"}', pa.schema([("c", pa.timestamp("ns"))]))
    assert parcel.records["c"].cast(pa.int64())[0].as_py() % 10**9 == 123_456_789


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (pa.int8(), 128, "128 is no whole number of int8"),
        (pa.uint8(), -1, "-1 is no whole number of uint8"),
        (pa.int64(), 1.5, "1.5 is no whole number"),
        (pa.int64(), float("nan"), "NaN is no whole number"),
        (pa.int64(), True, "true is no whole number of int64"),
        (pa.int64(), "seven", '"seven" is no whole number of int64'),
        (pa.float64(), {}, "{} is no number"),
        (pa.float64(), 10**400, "is no number"),
        (pa.bool_(), 1, "1 is no boolean"),
        (TIMES, 1714564800, "1714564800 is no time such as 2024-05-01T12:00:00Z"),
        (TIMES, "yesterday", '"yesterday" is no time'),
        (pa.timestamp("ns"), "2400-01-01T00:00:00Z", "is no time that timestamp[ns] holds"),
        (pa.date32(), 3, "3 is no day such as 2024-05-01"),
        (pa.time64("us"), "noon", '"noon" is no time of day'),
        (pa.decimal128(4, 2), "100", '"100" is no decimal128(4, 2)'),
        (pa.decimal128(4, 2), "0.001", "is no decimal128(4, 2)"),
        (pa.decimal128(4, 2), "x", "is no decimal128(4, 2)"),
        (pa.binary(), "?", "is no text in base64"),
        (pa.list_(pa.int64()), 1, "1 is no list"),
        (pa.list_(pa.int64(), 2), [1], "[1] is no list of 2"),
        (pa.struct([("a", pa.int8())]), "x" * 100, f'"{"x" * 56}... is no object'),
        (pa.map_(pa.string(), pa.int64()), [], "[] is no object"),
        (pa.month_day_nano_interval(), "1 day", "is no month_day_nano_interval"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_column_and_row(kind, value, why):
    schema = pa.schema([("c", kind)])
    said = reason(lines({"c": None}, {"c": value}), schema)
    assert said.startswith("column c, row 2: ")
    assert why in said


def test_a_misfit_inside_is_named_by_its_path():
    assert reason(lines({"user": {"age": "x"}})).startswith("column user.age, row 1: ")
    assert reason(lines({"counts": {"a": "x"}})).startswith("column counts.a, row 1: ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[1]", "row 1 is 1, no object"),
        (b'"text"', 'row 1 is "text", no object'),
        (b'{"ok": true}\n{"other": 1}\n', "row 2 has none of the table's columns"),
        (b'{"ok": true}\n{"ok": tr', "line 2"),
        (b'{"ok": tr', "neither Parquet nor valid JSON"),
        (b"[" * 100_000, "neither Parquet nor valid JSON"),
        (b'{"ok": "\xff"}', "neither Parquet nor valid JSON"),
        (b"Obj\x01avro", "neither Parquet nor valid JSON"),
        (zipped(lines(ROW))[:-9], "its gzip stream is cut off"),
        (b"\x1f\x8b\x00" + b"nonsense" * 2, "no valid gzip stream"),
        (zipped(lines(ROW))[:-8] + bytes(8), "no valid gzip stream"),
        (b"\x1f\x8b", "its gzip stream is cut off"),
    ],
)
def test_what_is_not_whole_or_not_json(content, why):
    assert why in reason(content)


def test_parquet_that_is_not_whole():
    whole = parquet(pa.table({"ok": [True]}))
    assert "footer is missing" in reason(whole[:-20])
    assert "no readable Parquet" in reason(whole[:20] + b"\xff" * 40 + whole[-8:])
    assert "no readable Parquet" in reason(b"PAR1PAR1")
    assert reason(b"ok", name="x.parquet") == "it is no Parquet file, though its name says so"
    assert reason(parquet(pa.table({"x": [1]}))) == "it has none of the table's columns"


def test_what_grows_beyond_all_bounds_is_left_to_the_sweep():
    bomb = zipped(b" " * 2_000_000)
    assert len(bomb) < 100_000
    assert "left to the sweep: unpacked, more than 400,000 bytes" in reason(bomb, largest=100_000)
    long = parquet(pa.table({"tags": [["x" * 1000] * 100] * 100}))
    assert len(long) < 100_000
    assert "left to the sweep" in reason(long, largest=100_000)
    assert len(records(long)) == 100


@pytest.mark.parametrize(
    ("found", "kind", "why"),
    [
        (pa.array([1, 2, 300]), pa.int8(), "row 3: "),
        (pa.array([1.0, 1.5]), pa.int64(), "row 2: "),
        (pa.array([1, 2]), TIMES, "row 1: int64 is no timestamp[us, tz=UTC]"),
        (pa.array(["x"]), pa.int64(), "row 1: "),
        (pa.array([{"a": 1}]), pa.string(), "row 1: "),
        (pa.array([[1], None, [2, 300]]), pa.list_(pa.int8()), "row 3: "),
    ],
)
def test_a_column_of_parquet_that_does_not_fit(found, kind, why):
    said = reason(parquet(pa.table({"c": found})), pa.schema([("c", kind)]))
    assert said.startswith(f"column c, {why}")


def test_a_struct_of_parquet_that_does_not_fit():
    table = pa.table({"user": [{"age": 1}, None, {"age": 99_999}]})
    assert reason(parquet(table)).startswith("column user.age, row 3: ")


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (pa.array([1], pa.timestamp("ns", tz="Europe/Berlin")), TIMES),
        (pa.array([1000], pa.timestamp("ms")), TIMES),
        (pa.array([1], pa.timestamp("us", tz="UTC")), pa.timestamp("us")),
        (pa.array([None]), pa.struct([("a", pa.int8())])),
        (pa.array([[1], None, []]), pa.large_list(pa.int64())),
        (pa.array([[{"a": 1, "b": 2}], None]), pa.list_(pa.struct([("a", pa.int64()), ("c", pa.string())]))),
        (pa.array([[("k", {"a": 1})], None, []], pa.map_(pa.string(), pa.struct([("a", pa.int64())]))),
         pa.map_(pa.string(), pa.struct([("a", pa.int32()), ("b", pa.string())]))),
        (pa.array(["x"]), pa.dictionary(pa.uint8(), pa.string())),
    ],
)  # fmt: skip
def test_a_column_of_parquet_as_the_type_of_its_table(found, kind):
    [parcel] = decoded(parquet(pa.table({"c": found})), pa.schema([("c", kind)]))
    parcel.records.validate(full=True)
    assert parcel.records["c"].type == kind
    assert parcel.records["c"].is_null().to_pylist() == found.is_null().to_pylist()


def test_cloudtrail_as_imported():
    for content in (
        json.dumps({"Records": [EVENT]}).encode(),
        zipped(lines(EVENT)),
        json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": EVENT}).encode(),
    ):
        [record] = records(content, SCHEMA, format="cloudtrail")
        assert (record["event"]["action"], record["ts"]) == ("CreateUser", AT.replace(microsecond=0))
    digest = b'{"digestS3Object": "x", "logFiles": []}'
    assert records(digest, SCHEMA, format="cloudtrail") == []
    assert "no CloudTrail event" in reason(b'{"a": 1}', SCHEMA, format="cloudtrail")


def test_an_event_that_can_be_no_record_is_set_aside_alone():
    content = json.dumps({"Records": [EVENT, {"eventName": "X"}, 3]}).encode()
    parcel, first, second = decoded(content, SCHEMA, format="cloudtrail")
    assert isinstance(parcel, Parcel)
    assert parcel.records.num_rows == 1
    assert first == Spoiled("k!2", LANDED, "event 2 has no valid eventTime: 'None'", '{"eventName": "X"}')
    assert second == Spoiled("k!3", LANDED, "record 3 is int, not an object", "3")


def test_records_already_in_parquet_are_taken_also_where_cloudtrail_is_expected():
    assert records(parquet(pa.table({"ok": [True]})), format="cloudtrail") == [EMPTY | {"ok": True}]


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    pa.string(): st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=5),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    TIMES: st.datetimes(timezones=st.just(UTC)),
    pa.timestamp("us"): st.datetimes(),
    pa.decimal128(12, 3): st.decimals(-(10**8), 10**8, places=3),
}
NAMES = ("a", "b", "c")


def _kinds(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(pa.list_),
        st.lists(inner, min_size=1, max_size=3).map(lambda kinds: pa.struct(list(zip(NAMES, kinds, strict=False)))),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
    )


KINDS = st.recursive(st.sampled_from(list(SCALARS)), _kinds, max_leaves=4)


def values(kind: Any) -> st.SearchStrategy[Any]:
    if kind in SCALARS:
        return st.none() | SCALARS[kind]
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values(field.type) for field in kind})
    if pa.types.is_map(kind):
        text = SCALARS[pa.string()]
        return st.none() | st.dictionaries(text, values(kind.item_type), max_size=2).map(lambda d: list(d.items()))
    return st.none() | st.lists(values(kind.value_type), max_size=2)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    kinds = draw(st.lists(KINDS, min_size=1, max_size=3))
    rows = draw(st.integers(0, 4))
    columns = [pa.array(draw(st.lists(values(k), min_size=rows, max_size=rows)), k) for k in kinds]
    return pa.table(dict(zip(NAMES, columns, strict=False)))


def as_json(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {field.name: as_json(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return {key: as_json(item, kind.item_type) for key, item in value}
    if pa.types.is_list(kind):
        return [as_json(item, kind.value_type) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(table=tables())
def test_parquet_and_json_are_what_the_engine_reads(tmp_path: Path, table: pa.Table) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    with connect() as connection:
        read = reader(connection, f"FROM read_parquet('{path}')").read_all()
    assert records(path.read_bytes(), read.schema) == read.to_pylist()
    rows = [{field.name: as_json(row[field.name], field.type) for field in table.schema} for row in table.to_pylist()]
    assert records(lines(*rows), read.schema) == read.to_pylist()


def envelope(kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """What CloudWatch Logs sends to who subscribes to a log group."""
    return {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "trail",
        "logStream": "123456789012_trail",
        "subscriptionFilters": ["all"],
        "logEvents": [{"id": "1", "timestamp": 1432826855000, "message": json.dumps(EVENT)}],
    }


@pytest.mark.parametrize("format", ["table", "cloudtrail"])
def test_what_others_put_around_records_is_named_with_the_remedy(format: str) -> None:
    told = zipped(json.dumps(envelope()).encode())
    said = reason(told, format=format)
    assert "an envelope of CloudWatch Logs, from the log group trail" in said
    assert "send each event's message" in said
    assert reason(json.dumps(EVENT).encode() + b"\n" + json.dumps(envelope()).encode(), format=format) == said
    assert "gzip as base64" in reason(base64.b64encode(told), format=format)
    aggregated = bytes.fromhex("f3899ac2") + b'\n\x01a\x1a\x07\x08\x00\x1a\x03{"a"' + bytes(16)
    assert "AggregationEnabled to false" in reason(aggregated, format=format)


@pytest.mark.parametrize("format", ["table", "cloudtrail"])
def test_a_check_of_cloudwatch_is_no_record(format: str) -> None:
    assert records(zipped(json.dumps(envelope("CONTROL_MESSAGE")).encode()), format=format) == []


def test_a_table_of_envelopes_keeps_them() -> None:
    schema = pa.schema([("logGroup", pa.string()), ("logEvents", pa.list_(pa.struct([("message", pa.string())])))])
    [row] = records(zipped(json.dumps(envelope()).encode()), schema)
    assert row["logGroup"] == "trail"
    assert json.loads(row["logEvents"][0]["message"]) == EVENT
