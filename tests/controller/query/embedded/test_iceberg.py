"""Iceberg tables on disk and in S3, made by PyIceberg: they say what a folder with the same records says."""

from __future__ import annotations

import io
import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table as IcebergTable
from pyiceberg.transforms import DayTransform
from pyiceberg.types import LongType, StringType
from pyroaring import BitMap

from tests.athena.double import LAKE, athena_double
from tests.controller.query.embedded.test_scan import ACTION, NOON, READS, Table, parts, records
from trapline.detection.inference.predicate import FALSE, Test
from trapline.detection.inference.reads import Read
from trapline.query.embedded.engine import DuckDBEngine
from trapline.query.engine import EVERYTHING, Part, QueryError, ScanRequest, Wanted
from trapline.settings import IcebergSettings, TableSettings
from trapline.window import Window

DAY = timedelta(days=1)
OPTIONS = {"type": "sql", "uri": "sqlite:///catalog.db", "warehouse": "warehouse"}
SCHEMA = pa.schema(
    {
        "ts": pa.timestamp("us", "UTC"),
        "event": pa.struct({"id": pa.string(), "action": pa.string()}),
        "n": pa.int64(),
    }
)
WANTED = {
    "all": Wanted(),
    "columns": Wanted(READS),
    "rows alone": Wanted(frozenset()),
    "a predicate": Wanted(READS | {Read(("event",), False)}, parts(Test(ACTION, "eq", "Action1"))),
    "predicates": Wanted(READS, parts(Test(ACTION, "eq", "Action1"), Test(("n",), "lt", 33))),
    "an audit": Wanted(READS, parts(FALSE), audit=1.0),
    "conditions": Wanted(READS, (Part(Test(ACTION, "eq", "Action2"), "n > 60"), Part(where="event.id = 'e9'"))),
    "conditions on all": Wanted(None, (Part(where="n % 9 = 0"), Part(Test(("n",), "ge", 250)))),
}


def of_days(days: int = 3) -> list[dict[str, Any]]:
    """A hundred records a day."""
    return [record for day in range(days) for record in records(day * 100, 100, at=NOON + day * DAY)]


def arrow(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


def opened(home: Path, options: Mapping[str, Any], env: Mapping[str, str], **settings: str) -> DuckDBEngine:
    iceberg = IcebergSettings(catalog="lake", table=settings.pop("table", "security.logins"))
    tables = {"t": TableSettings(iceberg=iceberg, **settings)}  # type: ignore[arg-type]  # texts all
    return DuckDBEngine(tables, home=home, catalogs={"lake": options}, env=env)


class Lake:
    """A catalog in SQLite with one table, `security.logins`, partitioned by day as only Iceberg sees it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.catalog: Catalog = load_catalog(
            "lake", type="sql", uri=f"sqlite:///{home}/catalog.db", warehouse=str(home / "warehouse")
        )
        self.catalog.create_namespace("security")
        self.logins = self.make("security.logins", SCHEMA)
        self.engine = self.open()

    def make(self, name: str, schema: pa.Schema) -> IcebergTable:
        made = self.catalog.create_table(name, schema)
        with made.update_spec() as spec:
            spec.add_field("ts", DayTransform(), "day")
        return made

    def open(self, *, table: str = "security.logins", time: str = "ts", **options: Any) -> DuckDBEngine:
        return opened(self.home, OPTIONS | options, {"PASSWORD": "hunter22"}, table=table, time=time)

    def newest(self) -> DataFile:
        """The file that was written last."""
        return next(iter(self.logins.scan().plan_files())).file

    def append_deletes(self, written: bytes, **kind: Any) -> None:
        """A file that says which rows are deleted, of those in the newest file's partition."""
        path = self.home / "deletes"
        path.write_bytes(written)
        newest = self.newest()
        deletes = DataFile.from_args(
            file_path=str(path),
            partition=newest.partition,
            record_count=1,
            file_size_in_bytes=len(written),
            **kind,
        )
        deletes.spec_id = newest.spec_id
        with self.logins.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            append.append_data_file(deletes)

    def delete(self, *positions: int) -> None:
        """Marks rows of the newest file as deleted, as engines do that merge on read."""
        paths = [self.newest().file_path] * len(positions)
        rows = pa.table({"file_path": paths, "pos": pa.array(positions, pa.int64())})
        self.append_deletes(parquet(rows), content=DataFileContent.POSITION_DELETES, file_format=FileFormat.PARQUET)

    def delete_by_vector(self, *positions: int) -> None:
        """The same in a Puffin file, as the third version of Iceberg has it."""
        vector = b"\xd1\xd3\x39\x64" + struct.pack("<QI", 1, 0) + BitMap(positions).serialize()
        blob = struct.pack(">I", len(vector)) + vector + struct.pack(">I", zlib.crc32(vector))
        about = {
            "type": "deletion-vector-v1",
            "fields": [],
            "snapshot-id": -1,
            "sequence-number": -1,
            "offset": 4,
            "length": len(blob),
            "properties": {"referenced-data-file": self.newest().file_path, "cardinality": str(len(positions))},
        }
        footer = json.dumps({"blobs": [about]}).encode()
        puffin = b"PFA1" + blob + b"PFA1" + footer + struct.pack("<II", len(footer), 0) + b"PFA1"
        self.append_deletes(puffin, content=DataFileContent.POSITION_DELETES, file_format=FileFormat.PUFFIN)


def parquet(rows: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(rows, file)
    return file.getvalue()


@pytest.fixture(autouse=True, scope="module")
def _days() -> Iterator[None]:
    """PyIceberg writes days with a compiled library that reading does not need."""

    def of(days: DayTransform, source: Any) -> Callable[[pa.Array], pa.Array]:
        return lambda array: array.cast(pa.date32()).cast(pa.int32())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DayTransform, "pyarrow_transform", of)
        yield


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def full(lake: Lake) -> Lake:
    return filled(lake)


def filled(lake: Lake) -> Lake:
    """Three days, each in a snapshot of its own."""
    for day in range(3):
        lake.logins.append(arrow(of_days()[day * 100 : (day + 1) * 100]))
    return lake


def request(days: float = 3, *, start: datetime = NOON) -> ScanRequest:
    return ScanRequest("t", Window(start, start + days * DAY))


def seen(engine: DuckDBEngine, wanted: Wanted, days: float = 3) -> list[tuple[Any, ...]]:
    """Each record of a scan made whole, whether it is audited, and which of the users' conditions hold for it."""
    found: list[tuple[Any, ...]] = []
    with engine.scan(request(days), wanted) as scan:
        for batch in scan.batches():
            whole = batch.records if batch.positions is None else scan.whole(batch.positions)
            assert whole.schema == scan.schema == engine.schema("t")
            audited = [None] * len(whole) if batch.audited is None else batch.audited.to_pylist()
            marks = [batch.where[where].to_pylist() for where in wanted.wheres]
            found += zip(whole.to_pylist(), audited, *marks, strict=True)
    return sorted(found, key=lambda row: row[0]["n"])


def numbers(engine: DuckDBEngine, wanted: Wanted = EVERYTHING, days: float = 3) -> list[int]:
    return [record["n"] for record, *_ in seen(engine, wanted, days)]


def is_streamed(engine: DuckDBEngine) -> bool:
    """Whether PyIceberg reads the table: then rows come whole, as they cannot be found again."""
    with engine.scan(request(), Wanted(READS)) as scan:
        return all(batch.positions is None for batch in scan.batches())


def in_folder(home: Path, rows: list[dict[str, Any]]) -> DuckDBEngine:
    table = Table(home)
    pq.write_table(arrow(rows), table.folder / "all.parquet", row_group_size=100)
    return table.engine


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[DuckDBEngine, DuckDBEngine]:
    """A table and a folder with the same records."""
    home = tmp_path_factory.mktemp("both")
    return filled(Lake(home)).engine, in_folder(home, of_days())


@pytest.fixture(scope="module")
def both_with_deletes(tmp_path_factory: pytest.TempPathFactory) -> tuple[DuckDBEngine, DuckDBEngine]:
    """The same, where some of the records were deleted."""
    home = tmp_path_factory.mktemp("deletes")
    lake = filled(Lake(home))
    lake.delete(7, 8)  # of the newest file
    return lake.engine, in_folder(home, [row for row in of_days() if row["n"] not in (207, 208)])


@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
def test_it_says_what_a_folder_says(both: tuple[DuckDBEngine, DuckDBEngine], wanted: Wanted) -> None:
    iceberg, folder = both
    assert not is_streamed(iceberg)
    assert seen(iceberg, wanted) == seen(folder, wanted) != []


@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
def test_it_says_so_too_where_pyiceberg_reads_it(
    both_with_deletes: tuple[DuckDBEngine, DuckDBEngine], wanted: Wanted
) -> None:
    iceberg, folder = both_with_deletes
    assert is_streamed(iceberg)
    assert seen(iceberg, wanted) == seen(folder, wanted) != []


def test_only_what_is_read_comes(full: Lake) -> None:
    with full.engine.scan(request(), Wanted(READS)) as scan:
        (batch,) = scan.batches()
    assert batch.records.schema.names == ["event", "n"]
    assert [field.name for field in batch.records.schema.field("event").type] == ["action"]


def test_only_the_files_of_the_window_are_read_and_counted(full: Lake) -> None:
    sizes = {task.file.file_path: task.file.file_size_in_bytes for task in full.logins.scan().plan_files()}
    second = request(0.5, start=NOON + DAY)
    (of_second,) = [size for path, size in sizes.items() if "2026-01-02" in path]
    assert full.engine.estimate(second) == of_second
    assert full.engine.estimate(request()) == sum(sizes.values())
    with full.engine.scan(second) as scan:
        assert sum(batch.records.num_rows for batch in scan.batches()) == scan.count() == 100
    assert scan.bytes_scanned == of_second


def test_bytes_are_those_of_the_columns_that_are_touched(full: Lake) -> None:
    one = full.engine.estimate(request(), Wanted(frozenset({Read(("n",), True)})))
    more = full.engine.estimate(request(), Wanted(READS))
    asked = full.engine.estimate(request(), Wanted(frozenset({Read(("n",), True)}), parts(Test(ACTION, "eq", "x"))))
    assert one and more
    assert 0 < one < more == asked < full.engine.estimate(request(), Wanted())  # type: ignore[operator]


def test_a_window_is_half_open_to_the_microsecond(lake: Lake) -> None:
    tick = timedelta(microseconds=1)
    for n, at in enumerate([NOON - tick, NOON, NOON + DAY - tick, NOON + DAY]):
        lake.logins.append(arrow([{"ts": at, "event": None, "n": n}]))
    assert numbers(lake.engine, days=1) == [1, 2]


def test_a_scan_sees_the_table_as_it_was_when_it_began(full: Lake) -> None:
    with full.engine.scan(request(), Wanted(READS)) as scan:
        snapshot = full.logins.metadata.current_snapshot_id
        full.logins.append(arrow(records(500, 100)))
        full.logins.delete("n < 100")
        (batch,) = scan.batches()
        assert batch.positions is not None
        assert sorted(scan.whole(batch.positions)["n"].to_pylist()) == list(range(300))
        assert scan.query_id.endswith(f"-snapshot-{snapshot}")
    assert numbers(full.engine) == [*range(100, 300), *range(500, 600)]


@pytest.mark.parametrize("deleted", [False, True])
def test_files_that_are_gone_are_an_error(full: Lake, deleted: bool) -> None:
    if deleted:
        full.delete(3)
    gone = full.newest().file_path
    with full.engine.scan(request()) as scan:
        Path(gone).unlink()
        with pytest.raises(QueryError, match=Path(gone).name) as caught:
            list(scan.batches())
    assert caught.value.code == "changed"
    assert "snapshots" in caught.value.remedy


def test_rows_that_were_deleted_never_come(full: Lake) -> None:
    full.logins.delete("n >= 10 and n < 20")  # writes the file anew
    assert numbers(full.engine) == [n for n in range(300) if not 10 <= n < 20]
    full.delete(0, 89)
    assert numbers(full.engine) == [n for n in range(1, 300) if not 10 <= n < 20 and n != 99]
    with full.engine.scan(request(), Wanted(READS)) as scan:
        assert sum(batch.records.num_rows for batch in scan.batches()) == scan.count() == 288


def test_rows_that_a_vector_deletes_never_come(full: Lake) -> None:
    full.delete_by_vector(0, 99)
    assert numbers(full.engine) == [n for n in range(300) if n not in (200, 299)]


def test_deletes_that_cannot_be_read_are_an_error(full: Lake) -> None:
    full.append_deletes(
        parquet(pa.table({"n": [5]})),
        content=DataFileContent.EQUALITY_DELETES,
        file_format=FileFormat.PARQUET,
        equality_ids=[3],
    )
    with pytest.raises(QueryError, match=r"security\.logins.*equality deletes") as caught:
        numbers(full.engine)
    assert caught.value.code == "internal"
    assert "compact" in caught.value.remedy


def test_columns_that_were_added_are_null_before(full: Lake) -> None:
    with full.logins.update_schema() as update:
        update.add_column("source", StringType())
        update.add_column(("event", "outcome"), StringType())
    outcome = Wanted(frozenset({Read(("event", "outcome"), True)}), (Part(where="source IS NULL"),))
    assert full.engine.schema("t").names == ["ts", "event", "n", "source"]
    assert len(seen(full.engine, outcome)) == 300  # no file has either
    new = {"ts": NOON, "event": {"id": "x", "action": "A", "outcome": "failure"}, "n": 999, "source": "s"}
    full.logins.append(pa.Table.from_pylist([new], full.logins.schema().as_arrow()))
    assert not is_streamed(full.engine)
    assert len(seen(full.engine, outcome)) == 300
    failed = Wanted(READS, parts(Test(("event", "outcome"), "eq", "failure")))
    assert [record for record, _ in seen(full.engine, failed)] == [new]


def renamed(table: IcebergTable) -> None:
    with table.update_schema() as update:
        update.rename_column(("event", "action"), "verb")


def swapped(table: IcebergTable) -> None:
    with table.update_schema() as update:
        update.rename_column(("event", "action"), "old")
        update.rename_column(("event", "id"), "action")


def dropped(table: IcebergTable) -> None:
    with table.update_schema() as update:
        update.delete_column(("event", "action"))


def added_again(table: IcebergTable) -> None:
    with table.update_schema() as update:
        update.delete_column(("event", "action"))
    with table.update_schema() as update:
        update.add_column(("event", "action"), StringType())


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (renamed, {"id": "e1", "verb": "Action1"}),
        (swapped, {"action": "e1", "old": "Action1"}),
        (dropped, {"id": "e1"}),
        (added_again, {"id": "e1", "action": None}),
    ],
)
def test_columns_are_what_their_ids_say(full: Lake, change: Callable[[IcebergTable], None], event: Any) -> None:
    change(full.logins)
    assert is_streamed(full.engine)
    (found,) = seen(full.engine, Wanted(READS, parts(Test(("n",), "eq", 1))))
    assert found[0]["event"] == event


def test_a_column_that_was_dropped_does_not_come(full: Lake) -> None:
    with full.logins.update_schema() as update:
        update.delete_column("event")
        update.add_column("source", StringType())
    assert not is_streamed(full.engine)
    assert full.engine.schema("t").names == ["ts", "n", "source"]
    assert next(set(record) for record, *_ in seen(full.engine, Wanted(READS))) == {"ts", "n", "source"}
    with full.logins.update_schema() as update:
        update.add_column("event", StringType())
    assert is_streamed(full.engine)
    assert {record["event"] for record, *_ in seen(full.engine, EVERYTHING)} == {None}


def test_a_type_that_was_promoted_is_what_it_is_now(lake: Lake) -> None:
    made = lake.make("security.small", SCHEMA.set(2, pa.field("n", pa.int32())))
    made.append(arrow(of_days(1)).cast(SCHEMA.set(2, pa.field("n", pa.int32()))))
    with made.update_schema() as update:
        update.update_column("n", LongType())
    engine = lake.open(table="security.small")
    assert engine.schema("t").field("n").type == pa.int64()
    assert numbers(engine) == list(range(100))


def test_files_of_a_folder_that_were_added(lake: Lake, tmp_path: Path) -> None:
    """They have no ids of columns, only names."""
    pq.write_table(arrow(of_days(1)), tmp_path / "added.parquet")
    lake.logins.add_files([str(tmp_path / "added.parquet")])
    assert numbers(lake.engine, Wanted(READS)) == list(range(100))


def test_schema_and_latest(full: Lake) -> None:
    assert full.engine.schema("t") == SCHEMA
    assert full.engine.latest("t") == NOON + 2 * DAY


def test_every_type_is_the_same_whoever_reads_it(lake: Lake) -> None:
    given: dict[str, tuple[pa.DataType, Any]] = {
        "ts": (pa.timestamp("us", "UTC"), NOON),
        "n": (pa.int64(), 1),
        "b": (pa.bool_(), True),
        "i": (pa.int32(), -1),
        "f": (pa.float32(), 0.5),
        "d": (pa.float64(), 0.25),
        "date": (pa.date32(), NOON.date()),
        "clock": (pa.time64("us"), NOON.time()),
        "naive": (pa.timestamp("us"), NOON.replace(tzinfo=None)),
        "price": (pa.decimal128(12, 3), Decimal("1.125")),
        "raw": (pa.binary(), b"\x00\xff"),
        "fixed": (pa.binary(4), b"abcd"),
        "uuid": (pa.uuid(), UUID(int=7)),
        "list": (pa.list_(pa.struct({"x": pa.string()})), [{"x": "y"}, None]),
        "map": (pa.map_(pa.string(), pa.int64()), [("k", 1)]),
    }
    schema = pa.schema([(name, kind) for name, (kind, _) in given.items()])
    one = {name: value for name, (_, value) in given.items()}
    made = lake.make("security.types", schema)
    made.append(pa.Table.from_pylist([one, {**dict.fromkeys(one), "ts": NOON, "n": 2}], schema))
    engine = lake.open(table="security.types")
    by_name = seen(engine, EVERYTHING)
    assert by_name[0][0] == {**one, "uuid": str(one["uuid"])}
    with made.update_schema() as update:
        update.rename_column("b", "c")
    with made.update_schema() as update:
        update.rename_column("c", "b")
    assert is_streamed(engine)
    assert seen(engine, EVERYTHING) == by_name


def test_the_newest_is_looked_for_where_files_do_not_say(full: Lake) -> None:
    with full.logins.transaction() as transaction:
        transaction.set_properties({"write.metadata.metrics.default": "none"})
    full.logins.append(arrow(records(300, 10, at=NOON + 3 * DAY)))
    assert full.engine.latest("t") == NOON + 3 * DAY


def test_a_table_without_a_snapshot(lake: Lake) -> None:
    with lake.engine.scan(request(), Wanted(READS, audit=0.5)) as scan:
        assert (list(scan.batches()), scan.count(), scan.bytes_scanned) == ([], 0, 0)
        assert scan.schema == SCHEMA
    assert lake.engine.latest("t") is None


def test_a_time_without_a_zone_is_in_utc(lake: Lake) -> None:
    naive = SCHEMA.set(0, pa.field("ts", pa.timestamp("us")))
    made = lake.make("security.naive", naive)
    made.append(arrow(of_days()).cast(naive))
    engine = lake.open(table="security.naive")
    assert numbers(engine, days=1.5) == list(range(200))
    assert engine.latest("t") == NOON + 2 * DAY


@pytest.mark.parametrize(
    ("table", "time", "options", "code", "said"),
    [
        ("security.login", "ts", {}, "table-missing", "did you mean `security.logins`?"),
        ("secure.logins", "ts", {}, "table-missing", "no table 'secure.logins'"),
        ("security.logins", "tss", {}, "column-missing", "did you mean `ts`?"),
        ("security.logins", "n", {}, "unbounded", "is long, by which no files can be chosen"),
        ("security.logins", "ts", {"uri": "sqlite:///no/such/folder.db"}, "unreachable", "unable to open"),
        ("security.logins", "ts", {"uri": "sqlite:///other.db"}, "unreachable", "no such table: iceberg_tables"),
        ("security.logins", "ts", {"uri": "${env:LAKE_URI}"}, "permissions", "LAKE_URI is not set"),
        ("security.logins", "ts", {"type": "nosuch"}, "unreachable", "'nosuch' is not a valid CatalogType"),
        ("security.logins", "ts", {"type": "rest", "uri": "http://127.0.0.1:9"}, "unreachable", "127.0.0.1"),
    ],
)
def test_what_cannot_be_read_says_why(
    lake: Lake, table: str, time: str, options: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(QueryError) as caught:
        numbers(lake.open(table=table, time=time, **options))
    assert caught.value.code == code
    assert said in f"{caught.value.message} {caught.value.remedy}"


def test_a_catalog_that_says_nothing_is_not_waited_for(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trapline.query.embedded.iceberg._PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        engine = lake.open(type="rest", uri=f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(QueryError, match=r"no answer within 0\.2 seconds") as caught:
            engine.schema("t")
    assert caught.value.code == "unreachable"


def test_scans_run_side_by_side(full: Lake) -> None:
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda wanted: numbers(full.engine, wanted), [EVERYTHING, Wanted(READS)] * 4))
    assert found == [list(range(300))] * 8


def test_what_a_catalog_says_has_no_secret_in_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **options: str) -> Catalog:
        raise PermissionError(f"the password {options['password']} is wrong")

    monkeypatch.setattr("trapline.query.embedded.iceberg.load_catalog", refuse)
    with pytest.raises(QueryError) as caught:
        lake.open(password="${env:PASSWORD}").latest("t")
    assert caught.value.code == "permissions"
    assert "hunter22" not in caught.value.message


def test_a_lake_in_s3_behind_glue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Real requests over a real socket; the endpoint is the environment's, as for everything of AWS."""
    with athena_double() as double:
        for name, value in double.env.items():
            monkeypatch.setenv(name, value)
        options = {"type": "glue", "warehouse": f"s3://{LAKE}/warehouse", "s3.endpoint": double.env["AWS_ENDPOINT_URL"]}
        catalog = load_catalog("glue", **options)
        catalog.create_namespace("security")
        made = catalog.create_table("security.logins", SCHEMA)
        made.append(arrow(of_days()))
        engine = opened(tmp_path, {"type": "glue"}, double.env)
        wanted = Wanted(READS, (Part(Test(ACTION, "eq", "Action1"), "n > 50"),))
        assert [record["n"] for record, *_ in seen(engine, wanted)] == [n for n in range(51, 300) if n % 4 == 1]
        assert engine.latest("t") == NOON + 2 * DAY
        with engine.scan(request()) as scan:
            (file,) = made.scan().plan_files()
            double.client("s3").delete_object(Bucket=LAKE, Key=file.file.file_path.removeprefix(f"s3://{LAKE}/"))
            with pytest.raises(QueryError, match="is gone"):
                list(scan.batches())
