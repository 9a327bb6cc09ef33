"""What a scan would read at most, against what it then reads."""

from __future__ import annotations

from datetime import timedelta
from uuid import NAMESPACE_DNS, uuid5

import pyarrow as pa
import pytest

from tests.controller.query.athena.lake import NOON, Lake
from trapline.detection.inference.predicate import FALSE
from trapline.detection.inference.reads import Read
from trapline.query.engine import Part, ScanRequest, Wanted
from trapline.window import Window

DAY = Window(NOON, NOON + timedelta(hours=6))
READS = frozenset({Read(("n",), True)})


def rows() -> pa.Table:
    count = 2_000
    return pa.table(
        {
            "ts": [NOON + timedelta(days=n % 4, seconds=n) for n in range(count)],
            "event": [{"id": f"e{n}"} for n in range(count)],
            "n": list(range(count)),
            "text": [str(uuid5(NAMESPACE_DNS, str(n))) for n in range(count)],
            "day": [f"{NOON + timedelta(days=n % 4):%Y-%m-%d}" for n in range(count)],
        }
    )


@pytest.fixture(params=["partitions", "projection", "template", "plain"])
def lake(lake: Lake, request: pytest.FixtureRequest) -> Lake:
    kind, table = request.param, rows()
    if kind == "plain":
        lake.put("t", table.drop_columns(["day"]))
        return lake
    lake.put("t", table, keys=("day",), partition="day")
    if kind != "partitions":
        projection = {"projection.day.type": "date", "projection.day.range": "2025-01-01,NOW"}
        projection["projection.day.format"] = "yyyy-MM-dd"
        if kind == "template":
            projection["storage.location.template"] = "s3://lake/default/t/day=${day}"
        lake.reset()
        lake.put("t", table, keys=("day",), projection=projection, partition="day")
    return lake


def test_it_is_no_less_than_what_is_read_and_no_more_than_it_has_to_be(lake: Lake) -> None:
    engine, request = lake.engine(), ScanRequest("t", DAY)
    whole, part = engine.estimate(request), engine.estimate(request, Wanted(READS))
    assert whole is not None
    assert part is not None
    asked = len(lake.double.queries)
    with engine.scan(request) as scan:
        list(scan.batches())
    assert scan.bytes_scanned <= whole < 1.5 * scan.bytes_scanned
    with engine.scan(request, Wanted(READS)) as scan:
        list(scan.batches())
    assert scan.bytes_scanned * 0.9 <= part < 2.5 * scan.bytes_scanned
    assert part < whole / 2
    assert asked == 0


def test_nothing_is_read_of_a_window_without_objects(lake: Lake) -> None:
    later = ScanRequest("t", Window(NOON + timedelta(days=90), NOON + timedelta(days=91)))
    if lake.tables["t"].partition:
        assert lake.engine().estimate(later) == 0


def test_rows_that_nobody_wants_cost_nothing(lake: Lake) -> None:
    assert lake.engine().estimate(ScanRequest("t", DAY), Wanted(READS, (Part(FALSE),))) == 0


def test_it_holds_for_some_minutes(lake: Lake) -> None:
    at = [NOON]
    engine, request = lake.engine(now=lambda: at[0]), ScanRequest("t", DAY)
    first = engine.estimate(request)
    lake.double.put_table("t", rows(), partitions=tuple(lake.tables["t"].partition))
    assert engine.estimate(request) == first
    at[0] += timedelta(minutes=6)
    assert engine.estimate(request) == pytest.approx(2 * (first or 0), rel=0.05)
