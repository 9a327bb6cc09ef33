from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from tests.athena.asking import HOURS, Asker


def test_a_select_gives_the_rows_of_a_table(ask: Asker) -> None:
    assert ask.rows("SELECT event.id, size, day FROM logs WHERE size < 2 ORDER BY size") == [
        ["0", "0", "2026-01-01"],
        ["1", "1", "2026-01-01"],
    ]


def test_an_unload_writes_files_of_so_many_rows_and_their_manifest(ask: Asker, target: Callable[[str], str]) -> None:
    described = ask.run(target("SELECT ts, event FROM logs"))
    files = ask.unloaded(described)
    assert [file.num_rows for file in files] == [20, 20, 8]
    ids = {event["id"] for file in files for event in file["event"].to_pylist()}
    assert ids == {str(hour) for hour in range(HOURS)}


def test_timestamps_are_written_as_nanoseconds_without_a_zone_and_hold_milliseconds(
    ask: Asker, target: Callable[[str], str]
) -> None:
    (file,) = ask.unloaded(ask.run(target("SELECT ts FROM logs WHERE size = 0")))
    assert file.schema.field("ts").type == pa.timestamp("ns")
    assert str(file["ts"][0]) == "2026-01-01 00:00:00.002000"


def test_an_unload_of_no_rows_writes_no_files(ask: Asker, target: Callable[[str], str]) -> None:
    described = ask.run(target("SELECT ts FROM logs WHERE size < 0"))
    assert described["Status"]["State"] == "SUCCEEDED"
    assert ask.manifest(described) == []


def test_an_unload_is_refused_where_something_is_already(ask: Asker, target: Callable[[str], str]) -> None:
    ask.run(target("SELECT ts FROM logs"))
    assert ask.failure(target("SELECT ts FROM logs")).startswith("HIVE_PATH_ALREADY_EXISTS: ")
