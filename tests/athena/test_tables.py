"""Tables of all kinds, and the bytes that are read of them."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog

from tests.athena.asking import Asker
from tests.athena.catalog import duckdb_type, hive_type
from tests.athena.lake import LAKE
from tests.athena.projection import projected


def test_bytes_are_those_of_the_columns_and_of_the_partitions_that_are_left(ask: Asker) -> None:
    whole = ask.scanned("SELECT * FROM logs")
    one_day = ask.scanned("SELECT * FROM logs WHERE day = '2026-01-01'")
    size = ask.scanned("SELECT size FROM logs")
    assert 0 < one_day < whole
    assert one_day == pytest.approx(whole / 2, rel=0.05)
    assert 0 < size < whole / 3
    assert ask.scanned("SELECT count(*) AS n FROM logs") == 0
    assert ask.scanned("SELECT day FROM logs") == 0
    assert ask.scanned("SELECT size AS a, size AS b FROM logs WHERE size > 0") == size


def test_bytes_of_a_struct_are_those_of_the_fields_asked_for(ask: Asker) -> None:
    action = ask.scanned("SELECT event.action FROM logs")
    identity = ask.scanned("SELECT event.id FROM logs")
    assert ask.scanned("SELECT event.id FROM logs WHERE event.action = 'bad'") == action + identity
    assert action + identity < ask.scanned("SELECT event FROM logs")


def test_bytes_of_a_query_inside_a_query_are_those_of_what_comes_out(ask: Asker) -> None:
    inner = "SELECT *, event.action AS act FROM logs WHERE size >= 0"
    direct = ask.scanned("SELECT ts FROM logs WHERE size >= 0 AND day = '2026-01-01'")
    assert ask.scanned(f"SELECT ts FROM ({inner}) WHERE day = '2026-01-01'") == direct
    assert ask.scanned(f"WITH x AS ({inner}) SELECT ts FROM x WHERE day = '2026-01-01'") == direct


def test_row_groups_are_passed_over_by_their_statistics(ask: Asker) -> None:
    ask.double.put_table("sorted", pa.table({"n": list(range(60_000))}), database="sec")
    whole = ask.scanned("SELECT n FROM sorted")
    assert ask.scanned("SELECT n FROM sorted WHERE n BETWEEN 5 AND 10") == pytest.approx(whole / 3, rel=0.1)
    assert ask.rows("SELECT count(*) AS c FROM sorted WHERE n BETWEEN 5 AND 10") == [["6"]]


def test_two_looks_at_a_table_are_two_scans(ask: Asker) -> None:
    once = ask.scanned("SELECT size FROM logs")
    assert ask.scanned("SELECT a.size FROM logs a JOIN logs b ON a.size = b.size") == 2 * once


def test_each_row_knows_its_object(ask: Asker) -> None:
    (row,) = ask.rows('SELECT "$path" AS p, size FROM logs WHERE size = 0')
    assert row[0] is not None and row[0].startswith(f"s3://{LAKE}/sec/logs/day=2026-01-01/")
    assert ask.rows(f"SELECT size FROM logs WHERE \"$path\" = '{row[0]}' AND size = 0") == [["0"]]


def test_a_column_that_a_file_lacks_is_null_and_one_that_glue_lacks_is_not_there(ask: Asker) -> None:
    ask.double.put_table("grown", pa.table({"a": [1], "u": [{"x": 1, "z": 1}], "hidden": [1]}), database="sec")
    later = pa.table({"a": [2], "u": [{"x": 2, "y": "new"}], "b": ["new"]})
    ask.double.put_table("grown", later, database="sec")
    assert ask.rows("SELECT * FROM grown ORDER BY a") == [["1", "{x=1, y=null}", None], ["2", "{x=2, y=new}", "new"]]
    assert "COLUMN_NOT_FOUND" in ask.failure("SELECT hidden FROM grown")


def test_a_table_without_objects_has_no_rows(ask: Asker) -> None:
    ask.double.put_table("hollow", pa.table({"a": [1]}), database="sec")
    s3 = ask.double.client("s3")
    for found in s3.list_objects_v2(Bucket=LAKE, Prefix="sec/hollow/")["Contents"]:
        s3.delete_object(Bucket=LAKE, Key=found["Key"])
    assert ask.rows("SELECT * FROM hollow") == []


def test_an_object_that_changes_is_read_anew(ask: Asker) -> None:
    s3, key = ask.double.client("s3"), "sec/changing/only.parquet"
    ask.double.put_table("changing", pa.table({"a": [1]}), database="sec")
    for content in ([2], [3, 4]):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"a": content}), sink)
        s3.put_object(Bucket=LAKE, Key=key, Body=sink.getvalue().to_pybytes())
        assert ask.rows(f"SELECT a FROM changing WHERE \"$path\" LIKE '%{key}' ORDER BY a") == [
            [str(n)] for n in content
        ]


def test_partitions_are_projected(ask: Asker) -> None:
    rows = pa.table({"a": [1, 2, 3], "day": ["2026-01-01", "2026-01-02", "2026-01-03"], "region": ["eu", "us", "eu"]})
    properties = {
        "projection.day.type": "date",
        "projection.day.range": "2026-01-01,2026-01-02",
        "projection.day.format": "yyyy-MM-dd",
        "projection.region.type": "enum",
        "projection.region.values": "eu,us",
        "storage.location.template": f"s3://{LAKE}/sec/projected/day=${{day}}/region=${{region}}",
    }
    ask.double.put_table("projected", rows, partitions=["day", "region"], database="sec", projection=properties)
    assert ask.rows("SELECT * FROM projected ORDER BY a") == [["1", "2026-01-01", "eu"], ["2", "2026-01-02", "us"]]
    assert ask.rows("SELECT a FROM projected WHERE day > '2026-01-01' AND region = 'us'") == [["2"]]


def test_projected_dates_reach_to_now() -> None:
    properties = {
        "projection.hour.type": "date",
        "projection.hour.range": "NOW-2HOURS,NOW",
        "projection.hour.format": "yyyy/MM/dd'T'HH",
        "projection.hour.interval.unit": "HOURS",
        "projection.shard.type": "integer",
        "projection.shard.range": "9,10",
        "projection.shard.digits": "2",
    }
    found = list(projected(["hour", "shard"], properties, "s3://lake/t/"))
    last = datetime.now(UTC)
    hours = [f"{last - timedelta(hours=back):%Y/%m/%dT%H}" for back in (2, 1, 0)]
    assert [values for values, _ in found] == [(hour, shard) for hour in hours for shard in ("09", "10")]
    assert found[0][1] == f"s3://lake/t/hour={hours[0]}/shard=09"


def test_json_lines_are_a_table_and_read_whole(ask: Asker) -> None:
    lines = "\n".join(json.dumps({"ts": "2026-01-01 00:00:00", "n": n, "u": {"name": "x"}}) for n in range(3))
    content = gzip.compress(lines.encode())
    ask.double.client("s3").put_object(Bucket=LAKE, Key="sec/raw/day=1/a.json.gz", Body=content)
    columns = [("ts", "timestamp"), ("n", "int"), ("u", "struct<name:string>")]
    storage = {
        "Columns": [{"Name": name, "Type": kind} for name, kind in columns],
        "Location": f"s3://{LAKE}/sec/raw/day=1/",
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
    }
    ask.double.client("glue").create_table(DatabaseName="sec", TableInput={"Name": "raw", "StorageDescriptor": storage})
    assert ask.rows("SELECT ts, u.name FROM raw WHERE n = 2") == [["2026-01-01 00:00:00.000", "x"]]
    assert ask.scanned("SELECT n FROM raw") == len(content)


def test_a_view_is_its_query(ask: Asker) -> None:
    kept = {
        "originalSql": "SELECT size AS n, day FROM logs WHERE size < 30",
        "catalog": "awsdatacatalog",
        "schema": "sec",
    }
    text = f"/* Presto View: {base64.b64encode(json.dumps(kept).encode()).decode()} */"
    view = {"Name": "small", "TableType": "VIRTUAL_VIEW", "ViewOriginalText": text}
    ask.double.client("glue").create_table(DatabaseName="sec", TableInput=view)
    assert ask.rows("SELECT max(n) AS m FROM small v WHERE day = '2026-01-02'") == [["29"]]
    assert ask.scanned("SELECT n FROM small") == ask.scanned("SELECT size FROM logs WHERE size < 30")


@pytest.fixture
def iceberg(ask: Asker) -> Any:
    keys = {"access-key-id": "testing", "secret-access-key": "testing", "endpoint": ask.double.url}
    properties = {f"{service}.{name}": value for service in ("glue", "s3") for name, value in keys.items()}
    regions = {"glue.region": "eu-central-1", "s3.region": "us-east-1"}
    return load_catalog("double", type="glue", warehouse=f"s3://{LAKE}/iceberg", **regions, **properties)


def test_an_iceberg_table_has_the_rows_of_its_snapshot_and_microseconds(ask: Asker, iceberg: Any) -> None:
    times = pa.array([datetime(2026, 1, 1, microsecond=1)], pa.timestamp("us"))
    rows = pa.table({"at": times, "seen": times.cast(pa.timestamp("us", "UTC")), "u": [{"name": "x"}], "n": [1]})
    table = iceberg.create_table("sec.ice", schema=rows.schema)
    table.append(rows)
    table.append(rows)
    table.overwrite(rows)
    assert ask.rows("SELECT u.name, n FROM ice") == [["x", "1"]]
    into = "TO 's3://results/ice/' WITH (format = 'PARQUET')"
    assert "timestamp(6)" in ask.failure(f"UNLOAD (SELECT at FROM ice) {into}")
    assert "with time zone" in ask.failure(f"UNLOAD (SELECT seen FROM ice) {into}")
    done = ask.run(f"UNLOAD (SELECT CAST(at AS timestamp(3)) AS at, CAST(seen AS timestamp) AS seen FROM ice) {into}")
    (file,) = ask.unloaded(done)
    assert file.to_pylist() == [{"at": datetime(2026, 1, 1), "seen": datetime(2026, 1, 1)}]


def test_a_folder_is_a_table(ask: Asker, tmp_path: Path) -> None:
    (tmp_path / "day=2026-01-01").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "day=2026-01-01" / "x.parquet")
    (tmp_path / "day=2026-01-01" / ".y.parquet.tmp").write_text("half")
    ask.double.put_table("folder", tmp_path, partitions=["day"], database="sec")
    assert ask.rows("SELECT * FROM folder") == [["1", "2026-01-01"]]


def test_types_of_hive() -> None:
    assert duckdb_type(hive_type("timestamp")) == "TIMESTAMP(3)"
    assert duckdb_type(hive_type("struct<user-agent:string,at:timestamp,in:array<map<string,decimal(10,2)>>>")) == (
        'STRUCT("user-agent" TEXT, "at" TIMESTAMP(3), "in" MAP(TEXT, DECIMAL(10, 2))[])'
    )
