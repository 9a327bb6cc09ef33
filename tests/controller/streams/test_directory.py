"""A folder that files come to: real ones, by every way of writing that leaves a reader half a file."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trapline.settings import StreamSettings
from trapline.streams.directory import LIST_SECONDS, UNFINISHED_SECONDS, Directory
from trapline.streams.source import Handed, Parcel, SourceDown, Spoiled

SCHEMA = pa.schema([("id", pa.int64())])
EVENT = {"eventTime": "2024-05-01T12:00:00Z", "eventName": "CreateUser"}


class Clock:
    """Stands still, but for what a test lets pass; and for a little with each look, so that waiting ends."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def parquet(*ids: int) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array(ids, pa.int64())}), buffer)
    return buffer.getvalue()


def ids(handed: Handed) -> list[int]:
    assert isinstance(handed.what, Parcel), handed.what
    return handed.what.records["id"].to_pylist()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lake").mkdir()
    return tmp_path / "lake"


Listen = Callable[..., Directory]


@pytest.fixture
def listen(folder: Path, clock: Clock) -> Iterator[Listen]:
    opened: list[Directory] = []

    def listening(since: datetime | None = None, **more: Any) -> Directory:
        settings = StreamSettings.model_validate({"type": "directory"} | more)
        opened.append(Directory(folder, SCHEMA, settings, since or datetime.now(UTC), now=clock))
        return opened[-1]

    yield listening
    for directory in opened:
        directory.close()


def received(directory: Directory, count: int = 1) -> list[Handed]:
    """What came, once so much has: the system tells in its own time."""
    handed: list[Handed] = []
    for _ in range(600):
        handed += directory.receive(wait=0)
        if len(handed) >= count:
            return handed
    raise AssertionError(f"only {handed} came")


def nothing_more(directory: Directory) -> None:
    assert [directory.receive(wait=0) for _ in range(4)] == [[], [], [], []]


def test_what_came_before_is_known_and_what_came_since_is_new(folder, listen):
    (folder / "day=1").mkdir()
    (folder / "day=1" / "old.parquet").write_bytes(parquet(1))
    assert ids(*received(listen(datetime.now(UTC) - timedelta(minutes=1)))) == [1]
    directory = listen(datetime.now(UTC) + timedelta(minutes=1))
    nothing_more(directory)
    (folder / "day=1" / "new.parquet").write_bytes(parquet(2, 3))
    [handed] = received(directory)
    assert ids(handed) == [2, 3]
    status = (folder / "day=1" / "new.parquet").stat()
    assert handed.what.key == f"day=1/new.parquet#{status.st_size}-{status.st_mtime_ns}"
    assert handed.what.landed_at == datetime.fromtimestamp(status.st_ctime, UTC)


def test_a_file_comes_once_and_again_when_written_anew(folder, listen, clock):
    directory = listen()
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(parquet(1))
    [first] = received(directory)
    clock.now += LIST_SECONDS * 2
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(parquet(2, 2))
    [second] = received(directory)
    assert (ids(first), ids(second)) == ([1], [2, 2])
    assert first.what.key != second.what.key


def test_the_backlog_is_what_waits_and_what_is_not_done(folder, listen):
    directory = listen()
    assert (directory.backlog().waiting, directory.backlog().oldest) == (0, None)
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(parquet(1))
    [handed] = received(directory)
    assert (directory.backlog().waiting, directory.backlog().oldest) == (1, handed.what.landed_at)
    directory.extend()
    directory.done([handed.receipt, handed.receipt])
    assert directory.backlog().waiting == 0


def test_names_that_are_no_tables_are_not_looked_at_until_renamed(folder, listen):
    directory = listen()
    nothing_more(directory)
    for name in (".x.parquet", "x.parquet.tmp", "notes.txt", "x.json"):
        (folder / name).write_bytes(parquet(1))
    (folder / ".staged").mkdir()
    (folder / ".staged" / "y.parquet").write_bytes(parquet(2))
    nothing_more(directory)
    (folder / ".x.parquet").rename(folder / "x.parquet")
    assert ids(*received(directory)) == [1]
    (folder / ".staged").rename(folder / "day=2")
    assert ids(*received(directory)) == [2]


def test_a_file_in_the_making_is_waited_for(folder, listen, clock):
    directory = listen()
    nothing_more(directory)
    whole = parquet(1, 2)
    with (folder / "x.parquet").open("wb", buffering=0) as file:
        nothing_more(directory)
        file.write(whole[:50])
        clock.now += UNFINISHED_SECONDS - 1
        nothing_more(directory)
        file.write(whole[50:90])
        clock.now += UNFINISHED_SECONDS - 1
        nothing_more(directory)
        file.write(whole[90:])
    clock.now += 1
    assert ids(*received(directory)) == [1, 2]


@pytest.mark.parametrize(("content", "reason"), [(parquet(1)[:-4], "footer is missing"), (b"text", "no Parquet file")])
def test_a_file_that_stays_half_is_spoiled_and_can_be_opened_again(folder, listen, clock, content, reason):
    directory = listen()
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(content)
    nothing_more(directory)
    clock.now += UNFINISHED_SECONDS
    [handed] = received(directory)
    assert isinstance(handed.what, Spoiled)
    assert reason in handed.what.reason
    assert handed.what.origin == "x.parquet"
    again = (handed.what.key, handed.what.landed_at, handed.what.origin)
    assert isinstance(directory.reopen(*again), Spoiled)
    (folder / "x.parquet").write_bytes(parquet(5))
    parcel = directory.reopen(*again)
    assert isinstance(parcel, Parcel)
    assert (parcel.key, parcel.records["id"].to_pylist()) == (handed.what.key, [5])
    (folder / "x.parquet").unlink()
    gone = directory.reopen(*again)
    assert isinstance(gone, Spoiled)
    assert gone.reason == "it is gone"


def test_an_empty_file_becomes_a_parcel_of_nothing(folder, listen, clock):
    directory = listen(format="cloudtrail")
    nothing_more(directory)
    (folder / "x.json").touch()
    nothing_more(directory)
    clock.now += UNFINISHED_SECONDS
    assert ids(*received(directory)) == []


def test_a_file_that_is_removed_before_it_was_whole_is_nothing(folder, listen, clock):
    directory = listen()
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(b"PAR1")
    nothing_more(directory)
    (folder / "x.parquet").unlink()
    clock.now += UNFINISHED_SECONDS
    nothing_more(directory)
    assert directory.backlog().waiting == 0


def test_what_is_too_large_is_left_to_the_sweep(folder, listen, clock):
    directory = listen(largest=100)
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(parquet(1))
    received_nothing = directory.receive(wait=0)
    clock.now += UNFINISHED_SECONDS
    [handed] = received(directory)
    assert received_nothing == []
    assert isinstance(handed.what, Spoiled)
    assert "left to the sweep" in handed.what.reason
    reopened = directory.reopen(handed.what.key, handed.what.landed_at, handed.what.origin)
    assert isinstance(reopened, Spoiled)


def test_deliveries_of_cloudtrail(folder, clock):
    schema = pa.schema([("ts", pa.timestamp("us", tz="UTC"))])
    settings = StreamSettings(type="directory", format="cloudtrail")
    directory = Directory(folder, schema, settings, datetime.now(UTC), now=clock)
    nothing_more(directory)
    (folder / "x.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [EVENT, {}]}).encode()))
    parcel, alone = received(directory, 2)
    assert isinstance(parcel.what, Parcel)
    assert parcel.what.records.num_rows == 1
    assert isinstance(alone.what, Spoiled)
    assert parcel.receipt == alone.receipt
    assert (alone.what.key, alone.what.origin) == (f"{parcel.what.key}!2", "{}")
    again = directory.reopen(alone.what.key, alone.what.landed_at, json.dumps(EVENT))
    assert isinstance(again, Parcel)
    directory.close()


def test_a_folder_with_all_its_files_is_moved_in(folder, tmp_path, listen):
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "x.parquet").write_bytes(parquet(1))
    directory = listen()
    nothing_more(directory)
    (tmp_path / "staged").rename(folder / "day=1")
    assert ids(*received(directory)) == [1]


def test_what_the_system_does_not_tell_is_found_by_listing(folder, listen, clock, monkeypatch):
    directory = listen()
    nothing_more(directory)
    monkeypatch.setattr(directory, "_changed", set)
    (folder / "x.parquet").write_bytes(parquet(1))
    nothing_more(directory)
    clock.now += LIST_SECONDS
    assert ids(*received(directory)) == [1]


def test_a_folder_that_is_missing_is_down_until_it_is_there(folder, listen):
    folder.rmdir()
    directory = listen()
    with pytest.raises(SourceDown, match=r"cannot be watched.*check that it is there"):
        directory.receive(wait=0)
    folder.mkdir()
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(parquet(1))
    assert ids(*received(directory)) == [1]
    (folder / "x.parquet").unlink()
    folder.rmdir()
    with pytest.raises(SourceDown):
        directory.receive(wait=0)
    folder.mkdir()
    (folder / "y.parquet").write_bytes(parquet(2))
    assert ids(*received(directory)) == [2]
    (folder / "z.parquet").write_bytes(parquet(3))
    assert ids(*received(directory)) == [3]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_spoiled(folder, listen, clock):
    directory = listen()
    nothing_more(directory)
    (folder / "x.parquet").write_bytes(parquet(1))
    (folder / "x.parquet").chmod(0)
    nothing_more(directory)
    clock.now += UNFINISHED_SECONDS
    [handed] = received(directory)
    assert isinstance(handed.what, Spoiled)
    assert handed.what.reason == "it cannot be read: Permission denied"


def test_many_files_come_some_at_a_time(folder, listen):
    directory = listen(datetime.now(UTC) - timedelta(minutes=1))
    for number in range(250):
        (folder / f"{number}.parquet").write_bytes(parquet(number))
    first = directory.receive(wait=0)
    assert 0 < len(first) < 250
    rest = received(directory, 250 - len(first))
    assert sorted(ids(handed)[0] for handed in [*first, *rest]) == list(range(250))


def test_closing_ends_a_wait(folder):
    directory = Directory(folder, SCHEMA, StreamSettings(type="directory"), datetime.now(UTC))
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(directory.receive(wait=3600)))
    waiting.start()
    directory.close()
    directory.close()
    waiting.join(timeout=60)
    assert answers == [[]]
