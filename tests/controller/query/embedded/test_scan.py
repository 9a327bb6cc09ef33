"""Scans that want less than everything, over real Parquet files: columns, rows, and rows made whole again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trapline.detection.inference.predicate import FALSE, TRUE, Null, Predicate, Test, every, paths
from trapline.detection.inference.reads import Read
from trapline.query.embedded.engine import DuckDBEngine
from trapline.query.engine import PRESENCE, Part, QueryError, Scan, ScanBatch, ScanRequest, Wanted
from trapline.settings import TableSettings
from trapline.window import Window

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACTION, ID = ("event", "action"), ("event", "id")
READS = frozenset({Read(ACTION, True), Read(("n",), True)})


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), path, row_group_size=100)


def records(first: int, count: int, *, at: datetime = NOON, **more: Any) -> list[dict[str, Any]]:
    return [
        {"ts": at, "event": {"id": f"e{n}", "action": f"Action{n % 4}"} if n % 10 else None, "n": n, **more}
        for n in range(first, first + count)
    ]


def parts(*predicates: Predicate) -> tuple[Part, ...]:
    return tuple(Part(predicate) for predicate in predicates)


class Table:
    """A table of the engine, and what is asked of it most."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.folder = home / "lake"
        self.folder.mkdir(exist_ok=True)
        self.engine = DuckDBEngine({"t": TableSettings(path="lake", **settings)}, home=home)

    @contextmanager
    def scan(self, wanted: Wanted, where: str | None = None, days: int = 3) -> Iterator[Scan]:
        if where is not None:
            wanted = replace(wanted, parts=tuple(replace(part, where=where) for part in wanted.parts))
        with self.engine.scan(ScanRequest("t", Window(NOON, NOON + timedelta(days=days))), wanted) as scan:
            yield scan

    def batches(self, wanted: Wanted, **others: Any) -> list[ScanBatch]:
        with self.scan(wanted, **others) as scan:
            return list(scan.batches())

    def numbers(self, wanted: Wanted, **others: Any) -> list[int]:
        return sorted(n for batch in self.batches(wanted, **others) for n in batch.records["n"].to_pylist())


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Three files whose columns differ, in types too."""
    table = Table(tmp_path)
    write(table.folder / "a.parquet", records(0, 250))
    write(table.folder / "b.parquet", records(250, 250, source={"ip": "192.0.2.1"}))
    narrow = pa.Table.from_pylist(records(500, 250)).drop_columns(["n"])
    pq.write_table(narrow.append_column("n", pa.array(range(500, 750), pa.int16())), table.folder / "c.parquet")
    return table


def test_all_of_it_is_whole_already(table: Table) -> None:
    (batch,) = table.batches(Wanted())
    assert batch.records.num_rows == 750
    assert (batch.positions, batch.audited) == (None, None)
    with table.scan(Wanted()) as scan:
        assert scan.schema == batch.records.schema == table.engine.schema("t")


def test_only_what_is_read_comes(table: Table) -> None:
    (batch,) = table.batches(Wanted(READS | {Read(("nope", "x"), True)}))
    assert batch.records.schema.names == ["event", "n"]
    assert [field.name for field in batch.records.schema.field("event").type] == ["action"]
    assert batch.records.num_rows == 750


def test_without_a_read_the_rows_are_counted_all_the_same(table: Table) -> None:
    (batch,) = table.batches(Wanted(frozenset()))
    assert (batch.records.num_rows, batch.records.num_columns) == (750, 0)


def test_the_presence_of_a_struct_is_known_where_it_is_asked_for(table: Table) -> None:
    (unknown,) = table.batches(Wanted(READS))
    assert unknown.records.schema.field("event").metadata == {PRESENCE: b"unknown"}
    assert unknown.records["event"].null_count == 0
    (known,) = table.batches(Wanted(READS | {Read(("event",), False)}))
    assert known.records.schema.field("event").metadata is None
    assert known.records["event"].null_count == 75


@pytest.mark.parametrize(
    ("predicates", "found"),
    [
        ([Test(ACTION, "eq", "Action1")], [n for n in range(750) if n % 4 == 1]),
        ([Null(ACTION)], [n for n in range(750) if n % 10 == 0]),
        ([Test(("source", "ip"), "eq", "192.0.2.1")], list(range(250, 500))),
        ([Test(("n",), "lt", 3), Test(("n",), "ge", 748)], [0, 1, 2, 748, 749]),
        ([FALSE, Test(("n",), "eq", 5)], [5]),
        ([FALSE], []),
        ([], []),
        ([TRUE, FALSE], list(range(750))),
        (
            [every(Test(ID, "eq", f"e{n}"), Test(("n",), "lt", 700)) for n in range(691, 733, 2)],
            [691, 693, 695, 697, 699],
        ),
    ],
)
def test_rows_for_which_one_of_the_predicates_holds(
    table: Table, predicates: list[Predicate], found: list[int]
) -> None:
    numbers = table.numbers(Wanted(READS, parts(*predicates)))
    exact = sum(len(paths(predicate)) for predicate in predicates) < 10
    assert numbers == found if exact else set(found) <= set(numbers) < set(range(750))
    assert table.numbers(Wanted(None, parts(*predicates))) == numbers


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
@pytest.mark.parametrize(
    "test",
    [
        Test(("f",), "truthy"),
        Test(("f",), "eq", 0, outcome="false"),
        Test(("f",), "in", (0, 5), outcome="false"),
        *(Test(("f",), op, number, outcome="false") for op in ("lt", "le", "gt", "ge") for number in (-1, 0, 1)),
    ],
    ids=str,
)
def test_statistics_that_know_of_no_nan_do_not_hide_it(tmp_path: Path, kind: pa.DataType, test: Test) -> None:
    table = Table(tmp_path)
    columns = {"ts": pa.array([NOON] * 3), "n": [1, 2, 3], "f": pa.array([0.0, float("nan"), 0.0], kind)}
    pq.write_table(pa.table(columns), table.folder / "a.parquet")
    assert 2 in table.numbers(Wanted(READS, parts(test)))


def test_where_is_asked_as_well(table: Table) -> None:
    one = Wanted(READS, parts(Test(ACTION, "eq", "Action1")))
    assert table.numbers(one, where="n < 10 OR n > 745") == [1, 5, 9, 749]
    with table.scan(one, where="n < 10") as scan:
        assert (scan.count(), sum(batch.records.num_rows for batch in scan.batches())) == (750, 3)


def test_rows_are_made_whole_in_the_order_asked(table: Table) -> None:
    with table.scan(Wanted(READS)) as scan:
        batches = scan.batches()
        positions = next(batches).positions
        assert positions is not None
        asked = positions.take(pa.array([740, 3, 300, 3, 260, 749]))
        whole = scan.whole(asked)  # while the batches are read
        assert list(batches) == []
    assert whole.schema == scan.schema
    assert whole["n"].to_pylist() == [740, 3, 300, 3, 260, 749]
    assert whole["event"].to_pylist()[:3] == [None, {"id": "e3", "action": "Action3"}, None]
    assert [ip and ip["ip"] for ip in whole["source"].to_pylist()] == [None, None, "192.0.2.1", None, "192.0.2.1", None]


def test_a_slice_of_the_positions_is_those_rows(table: Table) -> None:
    with table.scan(Wanted(READS, parts(Test(ACTION, "eq", "Action2")))) as scan:
        (batch,) = scan.batches()
        assert batch.positions is not None
        assert scan.whole(batch.positions.slice(3, 4))["n"].equals(batch.records.slice(3, 4)["n"].cast(pa.int64()))
        assert scan.whole(batch.positions.slice(0, 0)).schema == scan.schema


@pytest.mark.parametrize("change", ["gone", "other"])
def test_a_file_that_changed_under_a_scan_is_an_error(table: Table, change: str) -> None:
    with table.scan(Wanted(READS)) as scan:
        batches = list(scan.batches())
        (table.folder / "b.parquet").unlink()
        if change == "other":
            write(table.folder / "b.parquet", records(9_000, 250))
        with pytest.raises(QueryError, match=r"b\.parquet") as caught:
            scan.whole(batches[0].positions)  # type: ignore[arg-type]
    assert caught.value.code == "changed"
    assert caught.value.remedy


def test_a_file_that_changes_while_it_is_read_is_an_error(table: Table) -> None:
    with table.scan(Wanted()) as scan:
        batches = scan.batches()
        next(batches)
        os.utime(table.folder / "a.parquet")
        with pytest.raises(QueryError, match=r"a\.parquet"):
            list(batches)


def test_the_audit_takes_whole_blocks_and_others_each_time(tmp_path: Path) -> None:
    table = Table(tmp_path)
    write(table.folder / "a.parquet", records(0, 20_000))
    wanted = Wanted(READS, parts(Test(("n",), "eq", 7)), audit=0.3)
    seen = set()
    for _ in range(3):
        (batch,) = table.batches(wanted)
        assert batch.audited is not None
        blocks = {n // 256 for n in batch.records.filter(batch.audited)["n"].to_pylist()}
        expected = {n for n in range(20_000) if n // 256 in blocks} | {7}
        assert set(batch.records["n"].to_pylist()) == expected
        assert 5 < len(blocks) < 45  # of 79, by chance
        seen.add(frozenset(blocks))
    assert len(seen) > 1


def test_the_audit_marks_rows_of_a_scan_that_wants_them_all(table: Table) -> None:
    (whole,) = table.batches(Wanted(audit=1.0))
    assert whole.audited is not None
    assert whole.audited.true_count == 750
    (none,) = table.batches(Wanted(READS, parts(FALSE), audit=1.0))
    assert none.records.num_rows == 750


def test_rows_of_a_partitioned_table_are_found_again(tmp_path: Path) -> None:
    """A `where` on the partition leaves DuckDB fewer files than the window has."""
    table = Table(tmp_path, partition="day")
    for day in (1, 2, 3):
        at = NOON + timedelta(days=day - 1)
        write(table.folder / f"day=2026-01-0{day}" / "it's.parquet", records(day * 100, 50, at=at))
    for where in (None, "day >= DATE '2026-01-02'", "event.action = 'Action1' AND day = DATE '2026-01-03'"):
        with table.scan(Wanted(READS), where) as scan:
            (batch,) = scan.batches()
            assert batch.positions is not None
            assert batch.records.schema.names == ["event", "n"]
            assert scan.whole(batch.positions)["n"].equals(batch.records["n"])
            assert scan.schema.names == ["ts", "event", "n"]


@pytest.mark.parametrize("name", ["file_row_number", "FILE_INDEX", "filename"])
def test_a_table_with_a_column_of_that_name_is_read_whole(tmp_path: Path, name: str) -> None:
    table = Table(tmp_path)
    write(table.folder / "a.parquet", records(0, 5, **{name: 3}))
    (batch,) = table.batches(Wanted(READS, parts(FALSE), audit=0.5))
    assert batch.positions is None
    assert batch.records[name].to_pylist() == [3] * 5


def test_columns_that_are_called_like_what_a_query_calls_things(tmp_path: Path) -> None:
    table = Table(tmp_path)
    write(table.folder / "a.parquet", [{"ts": NOON, "n": 1, "t": {"n": 2, "ts": "x"}, "audited": 3, "asked": 4}])
    wanted = Wanted(frozenset({Read(("t", "n"), True)}), parts(Test(("t", "n"), "eq", 2)), audit=0.5)
    with table.scan(wanted) as scan:
        (batch,) = scan.batches()
        assert batch.records.to_pylist() == [{"t": {"n": 2}}]
        assert batch.positions is not None
        assert scan.whole(batch.positions).to_pylist()[0] | {"ts": None} == {
            "ts": None,
            "n": 1,
            "t": {"n": 2, "ts": "x"},
            "audited": 3,
            "asked": 4,
        }


@pytest.mark.parametrize("files", [0, 1])
def test_a_table_without_records(tmp_path: Path, files: int) -> None:
    table = Table(tmp_path)
    if files:
        write(table.folder / "a.parquet", records(0, 10, at=NOON - timedelta(days=9)))
    with table.scan(Wanted(READS, parts(Test(ACTION, "eq", "x")), audit=0.5)) as scan:
        assert list(scan.batches()) == []
        assert scan.count() == 0
        assert scan.schema.names == (["ts", "event", "n"] if files else [])


def test_bytes_are_those_of_the_columns_that_are_touched(table: Table) -> None:
    def scanned(wanted: Wanted) -> int:
        with table.scan(wanted) as scan:
            return scan.bytes_scanned

    one, more = scanned(Wanted(frozenset({Read(("n",), True)}))), scanned(Wanted(READS))
    asked = scanned(Wanted(frozenset({Read(("n",), True)}), parts(Test(ACTION, "eq", "x"))))
    assert 0 < one < more == asked < scanned(Wanted())
    assert scanned(Wanted()) == sum(file.stat().st_size for file in table.folder.iterdir())


def test_small_files_come_together_and_large_records_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path)
    for number in range(20):
        write(table.folder / f"{number:02}.parquet", records(number * 10, 10))
    assert [batch.records.num_rows for batch in table.batches(Wanted())] == [200]
    write(table.folder / "large.parquet", records(200, 20_000))
    assert [batch.records.num_rows for batch in table.batches(Wanted())] == [20_200]
    monkeypatch.setattr("trapline.query.batches.BATCH_BYTES", 1)
    several = table.batches(Wanted())
    assert len(several) > 1
    assert sum(batch.records.num_rows for batch in several) == 20_200


def test_many_rows_are_fetched_as_few_are(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    with table.scan(Wanted(READS)) as scan:
        (batch,) = scan.batches()
        assert batch.positions is not None
        few = scan.whole(batch.positions)
        monkeypatch.setattr("trapline.query.embedded.scan._MANY", 1)
        assert scan.whole(batch.positions).equals(few)
