"""Tables as Glue has them: what a record has of them, and which cannot be read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.controller.query.athena.lake import NOON, Lake
from trapline.query.engine import QueryError, ScanRequest
from trapline.window import Window

ROWS = pa.table({"ts": [NOON], "day": ["2026-01-01"], "region": ["x"], "n": [1]})


def declared(lake: Lake, name: str, **changes: Any) -> None:
    """Changes what Glue says of a table."""
    glue = lake.double.client("glue")
    table = glue.get_table(DatabaseName="default", Name=name)["Table"]
    kept = {key: table[key] for key in ("Name", "StorageDescriptor", "Parameters", "TableType", "PartitionKeys")}
    glue.update_table(DatabaseName="default", TableInput={**kept, **changes})


def refusal(lake: Lake, name: str = "t") -> QueryError:
    with pytest.raises(QueryError) as caught:
        lake.plain.schema(name)
    assert caught.value.remedy
    return caught.value


def test_the_partitions_that_hold_the_time_are_not_part_of_a_record(lake: Lake) -> None:
    lake.put("t", ROWS, keys=("region", "day"), partition="day")
    expected = pa.schema({"ts": pa.timestamp("ms", "UTC"), "n": pa.int64(), "region": pa.string()})
    assert lake.plain.schema("t") == expected
    with lake.scan() as scan:
        (batch,) = scan.batches()
    assert batch.records.to_pylist() == [{"ts": NOON, "n": 1, "region": "x"}]


def test_a_table_has_the_name_and_database_that_the_settings_say(lake: Lake) -> None:
    lake.double.put_table("raw", ROWS, partitions=("day",), database="security")
    lake.put("other", ROWS, keys=("day",), partition="day", name="raw", database="security")
    with lake.scan(table="other") as scan:
        assert [batch.records.num_rows for batch in scan.batches()] == [1]
    assert '"security"."raw"' in lake.double.queries[0].sql


def test_a_partitioned_table_without_partition_is_refused(lake: Lake) -> None:
    lake.put("t", ROWS, keys=("day",))
    error = refusal(lake)
    assert (error.code, error.message.startswith("the table t is partitioned by day")) == ("unbounded", True)
    assert '{day: "%Y-%m-%d"}' in error.remedy


def test_a_window_of_too_many_partitions_is_refused(lake: Lake) -> None:
    lake.put("t", ROWS, keys=("day",), partition={"day": "%Y-%m-%d-%H"})
    with pytest.raises(QueryError, match=r"touches 24,000 partitions of the table t") as caught, lake.scan(days=1000):
        pass
    assert caught.value.code == "unbounded"


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({"time": "at"}, "column-missing", "the time column at does not exist"),
        ({"time": "n"}, "column-missing", "the time column n is a int64, not a timestamp"),
        ({"name": "gone"}, "table-missing", "Table gone not found"),
        ({"database": "gone"}, "table-missing", "gone"),
        ({"partition": {"day": "%Y-%m-%d", "hour": "%H"}}, "column-missing", "not partitioned by hour"),
    ],
)
def test_what_glue_does_not_have_is_told(lake: Lake, settings: dict[str, Any], code: str, message: str) -> None:
    lake.put("t", ROWS, keys=("day",), **{"partition": "day", **settings})
    error = refusal(lake)
    assert error.code == code
    assert message in error.message
    assert "(table t)" in error.message


def test_a_table_that_trapline_does_not_know(lake: Lake) -> None:
    error = refusal(lake, "nope")
    assert (error.code, error.remedy) == ("table-missing", "add it under tables: in trapline.yml")


def test_a_type_that_trapline_does_not_know_is_told(lake: Lake) -> None:
    lake.put("t", ROWS, keys=("day",), partition="day")
    storage = lake.double.client("glue").get_table(DatabaseName="default", Name="t")["Table"]["StorageDescriptor"]
    storage["Columns"].append({"Name": "odd", "Type": "uniontype<int,string>"})
    declared(lake, "t", StorageDescriptor=storage)
    error = refusal(lake)
    assert error.code == "column-missing"
    assert "the column odd of the table t has the type uniontype<int,string>" in error.message


def test_iceberg_metadata_that_is_not_there_or_none_is_told(lake: Lake) -> None:
    lake.put("t", ROWS)
    lake.double.client("s3").put_object(Bucket="lake", Key="x.metadata.json", Body=b"{}")
    for more, code, words in (
        ({}, "internal", "Glue does not say where"),
        ({"metadata_location": "s3://lake/nope.metadata.json"}, "internal", "NoSuchKey"),
        ({"metadata_location": "s3://lake/x.metadata.json"}, "internal", "is no metadata of an Iceberg table"),
    ):
        declared(lake, "t", Parameters={"table_type": "ICEBERG", **more})
        error = refusal(lake)
        assert (error.code, words in error.message, "(table t)" in error.message) == (code, True, True)


def test_the_newest_record_is_looked_for_in_the_last_partitions_alone(lake: Lake) -> None:
    lake.put("t", ROWS, keys=("day",), partition="day")
    assert lake.engine(now=lambda: NOON + timedelta(hours=5)).latest("t") == NOON
    assert lake.engine(now=lambda: NOON + timedelta(days=5)).latest("t") == NOON
    assert lake.engine(now=lambda: NOON + timedelta(days=50)).latest("t") is None
    asked = [query.sql.count("'2") for query in lake.double.queries]
    assert asked[0] < 10 < asked[2] < 30 < asked[5] < 70
    assert lake.left() == []


def test_a_view_is_read_whole(lake: Lake) -> None:
    """It has no files, so that rows have no place in one."""
    lake.put("t", ROWS, keys=("day",), partition="day")
    declared(lake, "t", TableType="VIRTUAL_VIEW")
    engine = lake.engine()
    with engine.scan(ScanRequest("t", Window(NOON, NOON + timedelta(days=1)))) as scan:
        assert scan.schema.names == ["ts", "region", "n"]
    assert engine.estimate(ScanRequest("t", Window(NOON, NOON + timedelta(days=1)))) is None


def test_an_answer_is_used_again_where_that_is_allowed(lake: Lake) -> None:
    lake.put("t", ROWS, keys=("day",), partition="day")
    engine = lake.engine(now=lambda: NOON + timedelta(minutes=1), reuse="30m")
    assert [engine.latest("t"), engine.latest("t")] == [NOON, NOON]
    first, second = lake.double.queries
    assert first.sql == second.sql
    assert first.token != second.token
    athena = lake.double.client("athena")
    told = [athena.get_query_execution(QueryExecutionId=query.id)["QueryExecution"] for query in (first, second)]
    reused = [each["Statistics"]["ResultReuseInformation"]["ReusedPreviousResult"] for each in told]
    assert reused == [False, True]
