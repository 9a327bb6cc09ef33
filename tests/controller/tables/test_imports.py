"""Deliveries in, table out: every kind of file, broken ones, and importing twice."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from trapline.errors import TraplineError
from trapline.tables.imports import ImportResult, import_cloudtrail


def delivery(*events: Any) -> bytes:
    return json.dumps({"Records": list(events)}).encode()


def rows(table: Path, query: str = "event.id") -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        files = f"read_parquet('{table}/*/*.parquet', hive_partitioning = true)"
        return connection.execute(f"select {query} from {files} order by ts").fetchall()


def only_problem(result: ImportResult) -> tuple[str, str]:
    (problem,) = result.problems
    assert problem.severity == "error"
    assert problem.remedy
    return problem.code, problem.message


def test_all_real_deliveries_become_a_table(real_deliveries, tmp_path):
    seen: list[Path] = []
    result = import_cloudtrail(real_deliveries, tmp_path, on_file=seen.append)
    assert result == ImportResult(
        files=20,
        events=1448,
        days=(date(2023, 7, 10),),
        problems=(),
        first=datetime(2023, 7, 10, 11, 42, 18, tzinfo=UTC),
        last=datetime(2023, 7, 10, 12, 8, 48, tzinfo=UTC),
    )
    assert len(seen) == 20
    found = rows(tmp_path, "event.id, event.outcome, aws.cloudtrail.error_code, day")
    assert len({event_id for event_id, *_ in found}) == 1448
    assert all((outcome == "failure") == (code is not None) for _, outcome, code, _ in found)
    assert {day for *_, day in found} == {date(2023, 7, 10)}


@pytest.mark.parametrize("name", ["events.json", "events.json.gz", "copied-from-the-bucket"])
def test_one_file_plain_or_gzipped(raw_event, tmp_path, name):
    source = tmp_path / name
    content = delivery(raw_event)
    source.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert import_cloudtrail(source, tmp_path / "table").events == 1


@pytest.mark.parametrize(
    "content",
    [
        lambda event: json.dumps(event),
        lambda event: json.dumps(event, indent=2),
        lambda event: json.dumps([event]),
        lambda event: json.dumps(event) + "\n\n",
        lambda event: "\ufeff" + json.dumps({"Records": [event]}),
    ],
    ids=["one event", "pretty", "list", "one line", "byte order mark"],
)
def test_other_forms_people_keep_events_in(raw_event, tmp_path, content):
    source = tmp_path / "event.json"
    source.write_text(content(raw_event), encoding="utf-8")
    assert import_cloudtrail(source, tmp_path / "table").events == 1


def test_a_document_for_each_line(raw_event, tmp_path):
    source = tmp_path / "events.jsonl"
    source.write_bytes(b"\n".join([json.dumps(raw_event).encode(), delivery(raw_event, raw_event), b""]))
    assert import_cloudtrail(source, tmp_path / "table").events == 3


def test_a_folder_with_broken_files_imports_the_rest(raw_event, tmp_path):
    source = tmp_path / "AWSLogs" / "111122223333"
    source.mkdir(parents=True)
    (source / "good.json.gz").write_bytes(gzip.compress(delivery(raw_event)))
    (source / "cut.json.gz").write_bytes(gzip.compress(delivery(raw_event))[:-20])
    (source / "flipped.json.gz").write_bytes(b"\x1f\x8b\x08\x00nonsense")
    (source / "half.json").write_bytes(delivery(raw_event)[:-20])
    (source / "lines.json").write_bytes(json.dumps(raw_event).encode() + b"\n{oops\n")
    (source / "latin.json").write_bytes(b'{"Records": ["\xe9"]}')
    (source / "deep.json").write_bytes(b"[" * 100_000)
    (source / "empty.json").write_bytes(b"")
    (source / "other.json").write_bytes(b'{"Records": null}')
    (source / "notes.txt").write_bytes(b"not a delivery")
    result = import_cloudtrail(tmp_path, tmp_path / "table")
    assert (result.files, result.events) == (1, 1)
    assert {(Path(p.path).name, p.code, p.line) for p in result.problems} == {
        ("cut.json.gz", "delivery-unreadable", 0),
        ("flipped.json.gz", "delivery-unreadable", 0),
        ("half.json", "delivery-not-json", 1),
        ("lines.json", "delivery-not-json", 2),
        ("latin.json", "delivery-not-json", 0),
        ("deep.json", "delivery-not-json", 0),
        ("empty.json", "delivery-not-json", 1),
        ("other.json", "delivery-no-records", 0),
    }


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        ("text", "record-not-object", "record 2 is str, not an object, and is left out"),
        ({"eventName": "X"}, "event-unusable", "event 2 has no valid eventTime: 'None', and is left out"),
        ({"eventTime": "soon"}, "event-unusable", "event 2 has no valid eventTime: 'soon', and is left out"),
    ],
)
def test_a_bad_record_is_left_out_alone(raw_event, tmp_path, bad, code, message):
    source = tmp_path / "events.json"
    source.write_bytes(delivery(raw_event, bad, raw_event))
    result = import_cloudtrail(source, tmp_path / "table")
    assert result.events == 2
    assert only_problem(result) == (code, message)


def test_digest_files_are_no_deliveries(tmp_path):
    (tmp_path / "digest.json").write_text(json.dumps({"digestS3Object": "...", "logFiles": []}))
    result = import_cloudtrail(tmp_path, tmp_path / "table")
    assert result == ImportResult(files=0, events=0, days=(), problems=(), first=None, last=None)


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(TraplineError, match="neither a file nor a folder") as caught:
        import_cloudtrail(tmp_path / "gone", tmp_path)
    assert caught.value.remedy


def test_a_table_that_cannot_be_written_is_an_error(raw_event, tmp_path):
    source = tmp_path / "events.json"
    source.write_bytes(delivery(raw_event))
    with pytest.raises(TraplineError, match="cannot write the table"):
        import_cloudtrail(source, source)


def test_importing_again_doubles_nothing(raw_event, tmp_path):
    source, table = tmp_path / "source", tmp_path / "table"
    source.mkdir()
    other = raw_event | {"eventTime": "2026-11-22T00:00:00Z"}
    (source / "b.json").write_bytes(delivery(raw_event, other))
    import_cloudtrail(source, table)
    before = {path: path.read_bytes() for path in table.rglob("*.parquet")}
    (source / "a.json").write_bytes(delivery(other, other))
    (source / "copy-of-b.json").write_bytes(delivery(raw_event, other))
    result = import_cloudtrail(source, table)
    assert result.days == (date(2026, 11, 21), date(2026, 11, 22))
    assert len(rows(table)) == 4
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_file_is_sorted_by_time_and_leaves_nothing_unfinished(raw_event, tmp_path):
    times = [f"2026-11-21T10:{minute:02}:00Z" for minute in (7, 3, 59, 0)]
    source, table = tmp_path / "events.json", tmp_path / "table"
    source.write_bytes(delivery(*(raw_event | {"eventTime": time} for time in times)))
    import_cloudtrail(source, table)
    (path,) = [path for path in table.rglob("*") if path.is_file()]
    assert [at.minute for at in pq.ParquetFile(path).read()["ts"].to_pylist()] == [0, 3, 7, 59]
    assert path.parent.name == "day=2026-11-21"


def test_more_events_than_a_chunk(raw_event, tmp_path):
    source, table = tmp_path / "events.json", tmp_path / "table"
    source.write_bytes(delivery(*([raw_event] * 5_001)))
    assert import_cloudtrail(source, table).events == 5_001
    assert len(rows(table)) == 5_001
