"""Reading ahead: in bounds, in order, and with nothing kept that nobody works on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pytest

from tests.controller.streams.test_s3_events import SCHEMA, Bucket, listening
from tests.controller.streams.test_s3_events import bucket as bucket
from tests.playground import eventually
from trapline.streams.ahead import Ahead
from trapline.streams.source import Backlog, Handed, Parcel, Source, SourceDown, Spoiled

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


class Fake(Source):
    """Hands over what is put; `asked` counts how often it answered, while `answers` is set."""

    positions: Mapping[str, str] = MappingProxyType({"shard": "7"})

    def __init__(self) -> None:
        self.queue = SimpleQueue[Sequence[Handed] | Exception]()
        self.asked = 0
        self.answers = Event()
        self.answers.set()
        self.calls: list[Any] = []

    def put(self, *some: Handed | Exception) -> None:
        for one in some:
            self.queue.put(one if isinstance(one, Exception) else [one])

    def receive(self, *, wait: float) -> Sequence[Handed]:
        time.sleep(0.001)
        self.answers.wait()
        answer = [] if self.queue.empty() else self.queue.get()
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def done(self, receipts: Sequence[Any]) -> None:
        self.calls.append(("done", *receipts))

    def extend(self) -> None:
        self.calls.append("extend")

    def reopen(self, key: str, landed_at: datetime, origin: str) -> Parcel | Spoiled:
        return Spoiled(key, landed_at, "again", origin)

    def backlog(self) -> Backlog:
        return Backlog(5)

    def close(self) -> None:
        self.calls.append("close")


def handed(number: int, *, rows: int = 1, receipt: Any = None) -> Handed:
    records = pa.table({"id": pa.array([number] * rows, pa.int64())})
    return Handed(Parcel(str(number), NOW, records), receipt or number)


def keys(some: Sequence[Handed]) -> list[str]:
    return [one.what.key for one in some]


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def ahead(fake: Fake) -> Iterator[Callable[..., Ahead]]:
    made: list[Ahead] = []

    def make(**bounds: int) -> Ahead:
        made.append(Ahead(fake, **bounds))
        return made[-1]

    yield make
    for one in made:
        one.close()


def received(source: Ahead, count: int) -> list[Handed]:
    """So many, however they come."""
    found: list[Handed] = []
    eventually(lambda: found.extend(source.receive(wait=0.05)) or len(found) >= count)
    return found


def test_it_reads_while_nobody_asks(fake, ahead):
    source = ahead()
    assert source.receive(wait=0) == []
    fake.put(*map(handed, range(5)))
    eventually(fake.queue.empty)
    assert keys(received(source, 5)) == ["0", "1", "2", "3", "4"]


def test_it_holds_no_more_parcels_than_it_may(fake, ahead):
    source = ahead(parcels=8)
    fake.put(*map(handed, range(20)))
    first = received(source, 4)
    eventually(lambda: fake.queue.qsize() == 12)
    assert source.receive(wait=5) == []  # at once: half of what may be held is worked on
    asked = fake.asked
    time.sleep(0.05)
    assert (keys(first), fake.queue.qsize(), fake.asked) == (["0", "1", "2", "3"], 12, asked)
    source.done([one.receipt for one in first])
    eventually(lambda: fake.queue.qsize() == 8)
    assert keys(received(source, 4)) == ["4", "5", "6", "7"]


def test_it_holds_no_more_bytes_than_it_may(fake, ahead):
    source = ahead(size=4 * 8_000)
    fake.put(*(handed(number, rows=1_000) for number in range(10)))
    first = received(source, 2)
    eventually(lambda: fake.queue.qsize() == 6)
    assert source.receive(wait=0) == []
    time.sleep(0.05)
    assert (keys(first), fake.queue.qsize()) == (["0", "1"], 6)


def test_one_that_is_larger_than_all_it_may_hold_is_handed_over(fake, ahead):
    source = ahead(size=100)
    fake.put(handed(1, rows=1_000), handed(2, rows=1_000))
    [one] = received(source, 1)
    assert source.receive(wait=0) == []
    source.done([one.receipt])
    assert keys(received(source, 1)) == ["2"]


def test_what_shares_a_receipt_is_never_parted(fake, ahead):
    source = ahead(parcels=4)
    fake.queue.put([handed(number, receipt=f"of {number // 3}") for number in range(6)])
    assert keys(received(source, 1)) == ["0", "1", "2"]
    source.done(["of 0"])
    assert keys(received(source, 1)) == ["3", "4", "5"]


def test_it_is_told_after_what_came_that_the_source_is_down_and_asks_again(fake, ahead):
    source = ahead()
    fake.put(handed(1), SourceDown("away", remedy="wait"), handed(2))
    assert keys(received(source, 1)) == ["1"]
    with pytest.raises(SourceDown, match="away"):
        source.receive(wait=5)
    asked = fake.asked
    time.sleep(0.02)
    assert fake.asked == asked  # not before somebody wants it
    assert keys(received(source, 1)) == ["2"]


def test_that_nothing_came_is_the_sources_own_word(fake, ahead):
    """Or one that cannot be asked would seem to have nothing."""
    source = ahead()
    source.receive(wait=0)
    fake.answers.clear()
    with ThreadPoolExecutor(1) as pool:
        # Two answers may have been on their way.
        asked = [pool.submit(source.receive, wait=0) for _ in range(3)]
        time.sleep(0.1)
        waited = not asked[-1].done()
        fake.put(SourceDown("no such queue", remedy="make it"))
        fake.answers.set()
        assert sum(isinstance(one.exception(), SourceDown) for one in asked) == 1
    assert waited


def test_closing_ends_the_reading_and_then_the_source(fake, ahead):
    source = ahead()
    source.receive(wait=0)
    source.close()
    asked = fake.asked
    fake.put(handed(1))
    assert source.receive(wait=0) == []
    source.close()
    assert (fake.asked, fake.calls) == (asked, ["close", "close"])


def test_the_rest_is_the_sources(fake, ahead):
    source = ahead()
    source.extend()
    source.done([3])
    assert fake.calls == ["extend", ("done", 3)]
    assert (source.positions, source.backlog()) == ({"shard": "7"}, Backlog(5))
    assert source.reopen("key", NOW, "origin") == Spoiled("key", NOW, "again", "origin")
    assert fake.asked == 0  # to open again what was set aside, nothing is received


@pytest.mark.timeout(120)
def test_a_burst_of_a_thousand_objects(bucket: Bucket) -> None:
    objects, together, parcels = 1_000, 5, 160
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda number: bucket.put(f"{number}.jsonl", number, number + objects), range(objects)))
    messages = [told[at : at + together] for at in range(0, objects, together)]
    for one in [*messages, *messages[::10]]:  # S3 tells at least once
        bucket.tell(*one)
    source = Ahead(listening(bucket.queue), parcels=parcels)
    seen: dict[str, list[int]] = {}
    most = 0
    first = list(source.receive(wait=1))
    eventually(lambda: bucket.left()[1] * together >= parcels)
    time.sleep(0.3)  # nobody works, and it reads no further

    def worked() -> bool:
        nonlocal most
        some = [*first, *source.receive(wait=0.1)]
        for one in some:
            assert isinstance(one.what, Parcel), one.what
            seen[one.what.key] = one.what.records["id"].to_pylist()
        waiting, held = bucket.left()
        most = max(most, held)
        source.done([one.receipt for one in some])
        first.clear()
        return not some and waiting + held == 0

    eventually(worked, within=100)
    source.close()
    assert len(seen) == objects
    assert sorted(id for ids in seen.values() for id in ids) == list(range(2 * objects))
    assert most * together < parcels + 10 * together  # one receive of ten beyond what it may hold, and no more


def test_what_it_holds_goes_back_to_the_queue(bucket: Bucket) -> None:
    for number in range(30):
        bucket.tell(bucket.put(str(number), number))
    source = Ahead(listening(bucket.queue, schema=SCHEMA), parcels=20)
    received(source, 10)
    eventually(lambda: bucket.left() == (10, 20))
    source.close()
    assert bucket.left() == (30, 0)
