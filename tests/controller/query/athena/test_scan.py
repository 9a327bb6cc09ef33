"""Scans over the double: the same records as the embedded engine's, and what only Athena has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.athena.double import AthenaDouble, athena_double
from tests.controller.query.athena.lake import NOON, Lake
from trapline.detection.inference.predicate import FALSE, TRUE, Null, Test
from trapline.detection.inference.reads import Read
from trapline.query.athena import statement
from trapline.query.embedded.engine import DuckDBEngine
from trapline.query.engine import PRESENCE, Part, QueryError, Scan, ScanRequest, Wanted
from trapline.settings import TableSettings
from trapline.window import Window

ACTION, ID = ("event", "action"), ("event", "id")
READS = frozenset({Read(ACTION, True), Read(("n",), True)})
ODD = Test(ACTION, "in", ("Action1", "Action3"))


def rows(first: int = 0, count: int = 400, **more: Any) -> pa.Table:
    kept = [
        {
            "ts": NOON + timedelta(hours=n % 50),
            "event": {"id": f"e{n}", "action": f"Action{n % 4}" if n % 7 else None},
            "n": n,
            "source": {"ip": f"192.0.2.{n % 3}", "geo": {"name": "x"}} if n % 5 else None,
            "tags": [{"k": "a", "v": n}, {"k": None, "v": None}] if n % 3 else None,
            "day": f"{NOON + timedelta(hours=n % 50):%Y-%m-%d}",
            **more,
        }
        for n in range(first, first + count)
    ]
    return pa.Table.from_pylist(kept)


def folder(path: Path, table: pa.Table) -> Path:
    """The same table for the embedded engine."""
    for day in table["day"].unique().to_pylist():
        inside = path / f"day={day}"
        inside.mkdir(parents=True)
        pq.write_table(table.filter(pc.equal(table["day"], day)).drop_columns(["day"]), inside / "x.parquet")
    return path


class Seen:
    """All that a scan gave, in an order that does not depend on the engine."""

    def __init__(self, scan: Scan) -> None:
        batches = list(scan.batches())
        self.located = [batch.positions is not None for batch in batches]
        self.rows: dict[int, Any] = {}
        self.where: dict[str, set[int]] = {}
        self.numbers: list[int] = []
        for batch in batches:
            whole = batch.records if batch.positions is None else scan.whole(batch.positions)
            numbers = whole["n"].to_pylist()
            self.numbers += numbers
            self.rows.update(zip(numbers, whole.to_pylist(), strict=True))
            self.parts = batch.records
            for text, mask in batch.where.items():
                assert mask.null_count == 0
                found = {n for n, holds in zip(numbers, mask.to_pylist(), strict=True) if holds}
                self.where.setdefault(text, set()).update(found)


@pytest.fixture
def both(lake: Lake, tmp_path: Path) -> Callable[[Wanted], tuple[Seen, Seen]]:
    table = rows()
    lake.put("t", table, keys=("day",), partition="day")
    embedded = DuckDBEngine(
        {"t": TableSettings(path=str(folder(tmp_path / "t", table)), partition="day")}, home=tmp_path
    )

    def run(wanted: Wanted) -> tuple[Seen, Seen]:
        request = ScanRequest("t", Window(NOON, NOON + timedelta(hours=40)))
        with lake.plain.scan(request, wanted) as one, embedded.scan(request, wanted) as other:
            return Seen(one), Seen(other)

    return run


@pytest.mark.parametrize(
    ("wanted", "located"),
    [
        (Wanted(), False),
        (Wanted(READS), True),
        (Wanted(READS | {Read(("source",), False), Read(("source", "ip"), True), Read(("nope",), True)}), True),
        (Wanted(frozenset()), True),
        (Wanted(None, (Part(ODD),)), False),
        (Wanted(READS, (Part(ODD), Part(Null(("source", "geo", "name"))))), False),
        (Wanted(READS, (Part(ODD, "n < 100"), Part(FALSE), Part(TRUE, "source.ip = '192.0.2.1'"))), False),
        (Wanted(READS, (Part(TRUE, "n < 10 OR event.action IS NULL"), Part())), True),
        (Wanted(None, (Part(TRUE, "regexp_like(source.ip, '\\.1$')"), Part(TRUE, "cardinality(tags) > 1"))), False),
    ],
)  # fmt: skip
def test_the_records_are_those_of_the_embedded_engine(
    both: Callable[[Wanted], tuple[Seen, Seen]], wanted: Wanted, located: bool
) -> None:
    athena, embedded = both(wanted)
    assert sorted(athena.numbers) == sorted(embedded.numbers)
    assert athena.rows == embedded.rows
    assert athena.where == embedded.where
    assert set(athena.located) == {located}
    if located:
        assert athena.parts.schema.names == embedded.parts.schema.names
        assert [f.metadata for f in athena.parts.schema] == [f.metadata for f in embedded.parts.schema]
        mine, others = (sorted(map(repr, seen.parts.to_pylist())) for seen in (athena, embedded))
        assert len(mine) == len(others)


def test_where_whole_records_are_dear_they_are_asked_for_once_it_is_known_which(
    lake: Lake, both: Callable[[Wanted], tuple[Seen, Seen]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trapline.query.athena.engine.WORTH", 0)
    one = Wanted(frozenset({Read(("n",), True)}), (Part(Test(("n",), "eq", 7)),))
    athena, embedded = both(one)
    assert (athena.rows, athena.located) == (embedded.rows, [True])
    assert [row["n"] for row in athena.rows.values()] == [7]
    narrow, whole = (query.bytes for query in lake.double.queries)
    assert narrow < whole

    before = len(lake.double.queries)
    athena, _ = both(Wanted(frozenset({Read(("n",), True)}), (Part(Test(("n",), "eq", -7)),)))
    assert athena.rows == {}
    assert len(lake.double.queries) == before + 1, "nothing matched, so that nothing is read whole"

    athena, embedded = both(Wanted(READS, (Part(ODD), Part(FALSE, "n < 100")), audit=0.5))
    odd = {n for n, row in embedded.rows.items() if row["event"]["action"] in ("Action1", "Action3")}
    assert {n: athena.rows[n] for n in odd} == {n: embedded.rows[n] for n in odd}


def test_a_struct_that_is_read_in_part_has_these_fields_alone(lake: Lake) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    with lake.scan(Wanted(READS)) as scan:
        (batch,) = scan.batches()
    field = batch.records.schema.field("event")
    assert ([inner.name for inner in field.type], field.metadata) == (["action"], {PRESENCE: b"unknown"})
    with lake.scan(Wanted(READS | {Read(("source",), False)})) as scan:
        (batch,) = scan.batches()
    assert batch.records["source"].null_count == 80
    assert batch.records["event"].null_count == 0


def test_one_query_asks_for_all_parts(lake: Lake) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    with lake.scan(Wanted(READS, (Part(ODD), Part(TRUE, "n = 7")))) as scan:
        list(scan.batches())
        assert (scan.queries, scan.count()) == (1, 172)
    (query,) = lake.double.queries
    assert (scan.query_id, scan.bytes_scanned) == (query.id, query.bytes)
    assert query.bytes > 0


def test_the_audit_marks_rows_chosen_at_random(lake: Lake) -> None:
    lake.put("t", rows(count=3000), keys=("day",), partition="day")
    with lake.scan(Wanted(None, (Part(Test(("n",), "lt", 100)),), audit=0.2)) as scan:
        (batch,) = scan.batches()
    chosen = [
        n for n, audited in zip(batch.records["n"].to_pylist(), batch.audited.to_pylist(), strict=True) if audited
    ]
    assert 400 < len(chosen) < 800
    assert {n for n in batch.records["n"].to_pylist() if n not in chosen} < set(range(100))
    with lake.scan(Wanted(READS, audit=0.2)) as scan:
        (batch,) = scan.batches()
    assert batch.records.num_rows == 3000
    assert 400 < batch.audited.true_count < 800


def test_nothing_is_asked_for_nothing(lake: Lake) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    with lake.scan(Wanted(None, (Part(FALSE),))) as scan:
        assert list(scan.batches()) == []
        assert (scan.queries, scan.query_id, scan.bytes_scanned) == (0, "", 0)
    assert lake.double.queries == []


def test_a_result_without_rows(lake: Lake) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    with lake.scan(Wanted(None, (Part(Test(("n",), "eq", -1)),))) as scan:
        assert list(scan.batches()) == []
    assert lake.left() == []


def test_many_files_come_as_few_batches_and_a_large_one_in_parts(
    make_lake: Callable[[AthenaDouble], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    with athena_double(rows_per_file=50) as double:
        lake = make_lake(double)
        lake.put("t", rows(), keys=("day",), partition="day")
        with lake.scan() as scan:
            (batch,) = scan.batches()
            assert len(lake.left()) > 7
        assert batch.records.num_rows == 400
        monkeypatch.setattr("trapline.query.batches.BATCH_BYTES", 1000)
        monkeypatch.setattr("trapline.query.athena.store.BATCH_BYTES", 1000)
        with lake.scan() as scan:
            sizes = [batch.records.num_rows for batch in scan.batches()]
    assert sum(sizes) == 400
    assert max(sizes) < 50


@pytest.mark.parametrize("longest", [statement.LONGEST, 800, 300], ids=["by id", "by file", "by window"])
def test_whole_rows_come_in_the_order_asked_in_one_query_however_long_it_would_be(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    with lake.scan(Wanted(READS)) as scan:
        (batch,) = scan.batches()
        numbers = [3, 300, 3, 17, *range(50, 90)]
        some_id = batch.positions.column(1)[300].as_py()  # the files come in any order
        monkeypatch.setattr("trapline.query.athena.statement.LONGEST", longest)
        whole = scan.whole(batch.positions.take(numbers))
        assert whole["n"].to_pylist() == batch.records["n"].take(numbers).to_pylist()
        assert whole.schema == scan.schema
        assert scan.queries == 2
        asked = lake.double.queries[-1].sql
        assert ('$path" IN' in asked, f"'{some_id}'" in asked) == (longest > 300, longest > 800)
        assert scan.whole(batch.positions.slice(0, 0)).num_rows == 0
    assert lake.left() == []


def test_rows_that_are_gone_are_told(lake: Lake) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    with lake.scan(Wanted(READS)) as scan:
        (batch,) = scan.batches()
        s3 = lake.double.client("s3")
        for found in s3.list_objects_v2(Bucket="lake")["Contents"]:
            s3.delete_object(Bucket="lake", Key=found["Key"])
        with pytest.raises(QueryError, match=r"table t changed while it was read: 2 rows") as caught:
            scan.whole(batch.positions.slice(0, 2))
    assert caught.value.code == "changed"
    assert lake.left() == []


def test_twins_that_differ_let_the_next_scan_take_all_columns(lake: Lake) -> None:
    twins = [{"ts": NOON, "event": {"id": "same"}, "n": n} for n in (1, 2)]
    alike = [{"ts": NOON, "event": {"id": "alike"}, "n": 3}] * 2
    lake.put("t", pa.Table.from_pylist([*twins, *alike]))
    engine, request = lake.engine(), ScanRequest("t", Window(NOON, NOON + timedelta(days=1)))
    wanted = Wanted(frozenset({Read(("n",), True)}))
    with (
        pytest.raises(QueryError, match=r"event\.id does not tell the rows of the table t apart") as caught,
        engine.scan(request, wanted) as scan,
    ):
        (batch,) = scan.batches()
        numbers = batch.records["n"].to_pylist()
        same = scan.whole(batch.positions.take([at for at, n in enumerate(numbers) if n == 3]))
        assert same["n"].to_pylist() == [3, 3]
        scan.whole(batch.positions)
    assert caught.value.code == "changed"
    with engine.scan(request, wanted) as scan:
        (batch,) = scan.batches()
    assert batch.positions is None
    assert sorted(batch.records["n"].to_pylist()) == [1, 2, 3, 3]


@pytest.mark.parametrize("id", [None, "nope", "event.nope", "event"])
def test_without_an_id_all_columns_come(lake: Lake, id: str | None) -> None:
    lake.put("t", rows(count=5), keys=("day",), partition="day", id=id)
    with lake.scan(Wanted(READS)) as scan:
        (batch,) = scan.batches()
    assert batch.positions is None
    assert batch.records.schema == scan.schema


def test_conditions_too_long_for_a_query_are_left_out(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    monkeypatch.setattr(statement, "LONGEST", 1000)
    wanted = Wanted(READS, (Part(Test(("n",), "in", tuple(range(200)))), Part(TRUE, "n = 7")))
    with lake.scan(wanted) as scan:
        (batch,) = scan.batches()
    assert batch.records.num_rows == 400
    assert batch.where["n = 7"].true_count == 1
    with (
        pytest.raises(QueryError, match=r"the query has .* bytes") as caught,
        lake.scan(Wanted(READS, (Part(TRUE, f"n IN ({', '.join(map(str, range(500)))})"),))),
    ):
        pass
    assert caught.value.code == "syntax"


@pytest.mark.parametrize(
    "where", ["n = 1) OR (1 = 1", "n = ", "n = 1; DROP TABLE x", "n = 1) TO 's3://x/' WITH (a = 'b'"]
)
def test_a_condition_cannot_leave_its_place(lake: Lake, where: str) -> None:
    lake.put("t", rows(), keys=("day",), partition="day")
    with pytest.raises(QueryError) as caught, lake.scan(Wanted(None, (Part(TRUE, where),))):
        pass
    assert caught.value.code == "syntax"
    assert lake.double.queries == []
