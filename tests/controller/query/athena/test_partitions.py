"""The partitions that a window touches, in queries and in estimates."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.controller.query.athena.lake import NOON, Lake
from trapline.query.athena.partitions import spellings
from trapline.query.engine import ScanRequest
from trapline.window import Window

DAY = Window(NOON, NOON + timedelta(days=1))


def declared(lake: Lake, keys: dict[str, str]) -> None:
    """Lets Glue say that the table has these partition columns."""
    glue = lake.double.client("glue")
    table = glue.get_table(DatabaseName="default", Name="t")["Table"]
    kept = {key: table[key] for key in ("Name", "StorageDescriptor", "Parameters", "TableType")}
    partitioned = [{"Name": name, "Type": kind} for name, kind in keys.items()]
    glue.update_table(DatabaseName="default", TableInput={**kept, "PartitionKeys": partitioned})


@pytest.mark.parametrize(
    ("partition", "keys", "said"),
    [
        ({"day": "%Y-%m-%d"}, {"day": "string"}, """"day" IN ('2026-01-01', '2026-1-1', '2026-01-02', '2026-1-2')"""),
        ({"day": "%Y-%m-%d"}, {"day": "date"}, """"day" IN (DATE '2026-01-01', DATE '2026-01-02')"""),
        ({"year": "%Y", "month": "%m", "day": "%d"}, {"year": "int", "month": "tinyint", "day": "string"},
         """(("year" = 2026 AND (("month" = 1 AND "day" IN ('01', '1', '02', '2')))))"""),
        ({"dt": "%Y%m%d%H"}, {"dt": "bigint"},
         '"dt" IN (2026010112, 2026010113, 2026010114, 2026010115, '),
    ],
)  # fmt: skip
def test_partitions_of_the_window_are_named(
    lake: Lake, partition: dict[str, str], keys: dict[str, str], said: str
) -> None:
    lake.put("t", pa.table({"ts": [NOON], "n": [1]}), partition=partition)
    declared(lake, keys)
    with lake.plain.scan(ScanRequest("t", DAY)) as scan:
        assert scan.schema.names == ["ts", "n"]
        assert said in scan.statement


@pytest.mark.parametrize("kind", [pa.string(), pa.int32()])
@pytest.mark.parametrize("written", ["{:02}", "{}"])
def test_leading_zeros_do_not_matter(lake: Lake, kind: pa.DataType, written: str) -> None:
    moments = [NOON, NOON + timedelta(hours=20), NOON + timedelta(days=40)]
    table = pa.table(
        {
            "ts": moments,
            "n": [1, 2, 3],
            "year": pa.array([at.year for at in moments]).cast(kind),
            "month": pa.array([written.format(at.month) for at in moments]).cast(kind),
            "day": pa.array([written.format(at.day) for at in moments]).cast(kind),
        }
    )
    lake.put("t", table, keys=("year", "month", "day"), partition={"year": "%Y", "month": "%m", "day": "%d"})
    with lake.plain.scan(ScanRequest("t", DAY)) as scan:
        assert sorted(n for batch in scan.batches() for n in batch.records["n"].to_pylist()) == [1, 2]
    estimate = lake.engine().estimate(ScanRequest("t", DAY))
    assert scan.bytes_scanned <= (estimate or 0) < 10_000


def test_a_value_with_zeros_and_without() -> None:
    assert spellings("2026-01-09") == ["2026-01-09", "2026-1-9"]
    assert spellings("20260109") == ["20260109"]
    assert spellings("00") == ["00", "0"]
    assert spellings("10") == ["10"]
