"""Iceberg tables, whose times and UUIDs UNLOAD cannot write and Glue does not know."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import (
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
)

from tests.athena.double import LAKE, REGION
from tests.controller.query.athena.lake import NOON, Lake
from trapline.detection.inference.predicate import TRUE
from trapline.detection.inference.reads import Read
from trapline.query.engine import Part, ScanRequest, Wanted
from trapline.settings import TableSettings
from trapline.window import Window

SEEN = StructType(NestedField(11, "at", TimestamptzType()), NestedField(12, "by", StringType()))
SCHEMA = Schema(
    NestedField(1, "ts", TimestamptzType()),
    NestedField(2, "local", TimestampType()),
    NestedField(3, "clock", TimeType()),
    NestedField(4, "event", StructType(NestedField(13, "id", StringType()), NestedField(14, "n", LongType()))),
    NestedField(5, "seen", ListType(15, SEEN, element_required=False)),
)


def row(n: int) -> dict[str, Any]:
    at = NOON + timedelta(hours=n, microseconds=n + 1)
    return {
        "ts": at,
        "local": at.replace(tzinfo=None),
        "clock": time(1, 2, 3, n),
        "event": {"id": f"e{n}", "n": n},
        "seen": [{"at": at, "by": "x"}, None] if n % 2 else [],
    }


@pytest.fixture
def lake(lake: Lake) -> Lake:
    keys = {"access-key-id": "testing", "secret-access-key": "testing", "endpoint": lake.double.url}
    properties = {f"{service}.{name}": value for service in ("glue", "s3") for name, value in keys.items()}
    catalog = load_catalog(
        "x", type="glue", warehouse=f"s3://{LAKE}/ice", **properties, **{"glue.region": REGION, "s3.region": REGION}
    )
    catalog.create_namespace("default")
    table = catalog.create_table("default.t", SCHEMA)
    table.append(pa.Table.from_pylist([row(n) for n in range(40)], schema=table.schema().as_arrow()))
    lake.tables["t"] = TableSettings(engine="athena")
    return lake


def test_what_unload_cannot_write_comes_as_it_is(lake: Lake) -> None:
    with lake.scan(days=1) as scan:
        (batch,) = scan.batches()
    micros = pa.timestamp("us", "UTC")
    assert (
        batch.records.schema
        == scan.schema
        == pa.schema(
            {
                "ts": micros,
                "local": micros,
                "clock": pa.time64("us"),
                "event": pa.struct({"id": pa.string(), "n": pa.int64()}),
                "seen": pa.list_(pa.struct({"at": micros, "by": pa.string()})),
            }
        )
    )
    found = sorted(batch.records.to_pylist(), key=lambda record: record["ts"])
    expected = [{**row(n), "local": row(n)["ts"]} for n in range(24)]
    assert found == expected


def test_a_window_is_half_open_to_the_microsecond(lake: Lake) -> None:
    moments = [row(n)["ts"] for n in (3, 7)]
    with lake.plain.scan(ScanRequest("t", Window(moments[0], moments[1])), Wanted()) as scan:
        assert sum(batch.records.num_rows for batch in scan.batches()) == 4


def test_rows_are_found_again_by_their_file_and_id(lake: Lake) -> None:
    wanted = Wanted(frozenset({Read(("event", "n"), True)}), (Part(), Part(TRUE, "event.n = 3")))
    with lake.scan(wanted, days=1) as scan:
        (batch,) = scan.batches()
        at = batch.records["event"].field("n").to_pylist().index(3)
        whole = scan.whole(batch.positions.slice(at, 1))
    assert whole.to_pylist() == [{**row(3), "local": row(3)["ts"]}]
    assert batch.where["event.n = 3"].true_count == 1


def test_the_newest_time(lake: Lake) -> None:
    engine = lake.engine(now=lambda: NOON + timedelta(days=4))
    latest = engine.latest("t")
    assert isinstance(latest, datetime)
    assert abs(latest - row(39)["ts"]) < timedelta(microseconds=2)


def test_an_estimate_is_of_the_files_and_columns_that_are_read(lake: Lake) -> None:
    month, year = (ScanRequest("t", Window(NOON, NOON + timedelta(days=days))) for days in (30, 365))
    whole, later = lake.engine().estimate(month), ScanRequest("t", Window(NOON + timedelta(days=9), year.window.end))
    part = lake.engine().estimate(month, Wanted(frozenset({Read(("event", "n"), True)})))
    with lake.scan(days=30) as scan:
        list(scan.batches())
    assert (whole, part) != (None, None)
    assert scan.bytes_scanned <= (whole or 0)
    assert 0 < (part or 0) < (whole or 0) / 2
    assert lake.engine().estimate(later) == 0
