"""The embedded engine over real Parquet files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trapline.query.embedded.engine import DuckDBEngine
from trapline.query.engine import Part, QueryError, ScanRequest, Wanted
from trapline.query.where import to_duckdb
from trapline.settings import TableSettings
from trapline.window import Window

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), path)


def record(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    return {"ts": at, "event": {"id": f"e{number}", "action": "Login", "category": ["iam", "auth"]}, **fields}


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    """Two days, partitioned, with a file that is still being written beside them."""
    folder = tmp_path / "lake"
    write(folder / "day=2026-01-01" / "a.parquet", [record(1, NOON), record(2, NOON + timedelta(hours=11))])
    write(folder / "day=2026-01-02" / "b.parquet", [record(3, NOON + timedelta(days=1), source={"ip": "192.0.2.1"})])
    (folder / "day=2026-01-02" / ".writing").write_bytes(b"half a file")
    return DuckDBEngine({"logins": TableSettings(path="lake", partition="day")}, home=tmp_path)


def ids(engine: DuckDBEngine, window: Window, where: str | None = None) -> list[str]:
    with engine.scan(ScanRequest("logins", window), Wanted(parts=(Part(where=where),))) as scan:
        rows = [row for batch in scan.batches() for row in batch.records.to_pylist()]
    return sorted(row["event"]["id"] for row in rows)


def test_a_window_is_half_open(engine: DuckDBEngine) -> None:
    assert ids(engine, Window(NOON, NOON + timedelta(hours=11))) == ["e1"]
    assert ids(engine, Window(NOON + timedelta(hours=11), NOON + timedelta(days=1))) == ["e2"]


def test_records_come_without_the_partition_and_with_the_columns_of_all_files(engine: DuckDBEngine) -> None:
    with engine.scan(ScanRequest("logins", Window(NOON, NOON + timedelta(days=2)))) as scan:
        rows = {row["event"]["id"]: row for batch in scan.batches() for row in batch.records.to_pylist()}
    assert set(rows["e1"]) == {"ts", "event", "source"}
    assert rows["e1"]["source"] is None
    assert rows["e3"]["source"] == {"ip": "192.0.2.1"}
    assert rows["e1"]["ts"] == NOON


def test_only_the_partitions_of_the_window_are_read_and_counted(engine: DuckDBEngine, tmp_path: Path) -> None:
    with engine.scan(ScanRequest("logins", Window(NOON, NOON + timedelta(hours=12)))) as scan:
        list(scan.batches())
    assert scan.bytes_scanned == (tmp_path / "lake/day=2026-01-01/a.parquet").stat().st_size


def test_where_is_athenas_sql(engine: DuckDBEngine) -> None:
    everything = Window(NOON, NOON + timedelta(days=2))
    assert ids(engine, everything, "contains(event.category, 'auth') AND event.id <> 'e1'") == ["e2", "e3"]
    assert ids(engine, everything, "regexp_like(source.ip, '^192') OR event.id = 'e2'") == ["e2", "e3"]
    assert to_duckdb("a = 1 OR b = 2") == "a = 1 OR b = 2"


def test_schema_and_latest(engine: DuckDBEngine) -> None:
    assert engine.schema("logins").names == ["ts", "event", "source"]
    assert engine.latest("logins") == NOON + timedelta(days=1)


def test_an_empty_table_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    engine = DuckDBEngine({"logins": TableSettings(path="new")}, home=tmp_path)
    assert ids(engine, Window(NOON, NOON + timedelta(days=1))) == []
    assert engine.latest("logins") is None


@pytest.mark.parametrize(
    ("where", "code"), [("nonesuch = 1", "column-missing"), ("a = = 1", "syntax"), ("1 = ", "syntax")]
)
def test_a_bad_condition_says_so(engine: DuckDBEngine, where: str, code: str) -> None:
    with pytest.raises(QueryError) as caught:
        ids(engine, Window(NOON, NOON + timedelta(days=1)), where)
    assert caught.value.code == code
    assert "where" in str(caught.value)


def test_a_missing_table_names_the_remedy(engine: DuckDBEngine, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no table 'nope'"):
        engine.schema("nope")
    gone = DuckDBEngine({"logins": TableSettings(path="gone")}, home=tmp_path)
    with pytest.raises(QueryError, match="does not exist") as caught:
        ids(gone, Window(NOON, NOON + timedelta(days=1)))
    assert caught.value.code == "table-missing"
    assert "tables import" in caught.value.remedy


def test_a_truncated_file_is_an_error_not_fewer_records(engine: DuckDBEngine, tmp_path: Path) -> None:
    file = tmp_path / "lake/day=2026-01-02/b.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(QueryError) as caught:
        ids(engine, Window(NOON, NOON + timedelta(days=2)))
    assert caught.value.code == "internal"
    assert ids(engine, Window(NOON, NOON + timedelta(hours=1))) == ["e1"]  # the day before is untouched


def test_columns_are_told_from_the_files_that_are_whole(engine: DuckDBEngine, tmp_path: Path) -> None:
    broken = tmp_path / "lake/day=2026-01-02/b.parquet"
    broken.write_bytes(broken.read_bytes()[:100])
    assert engine.schema("logins").names == ["ts", "event"]
    other = tmp_path / "lake/day=2026-01-01/a.parquet"
    other.write_bytes(b"")
    with pytest.raises(QueryError, match="parquet"):
        engine.schema("logins")


def test_names_with_quotes_are_names(tmp_path: Path) -> None:
    write(tmp_path / "it's" / "a.parquet", [{'the "time"': NOON, "event": {"id": "e1"}}])
    engine = DuckDBEngine({"logins": TableSettings(path="it's", time='the "time"')}, home=tmp_path)
    assert ids(engine, Window(NOON, NOON + timedelta(hours=1))) == ["e1"]
