"""What rules print is kept within bounds, whatever they print."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from trapline.state.database import Database
from trapline.state.logs import Entry, Logs
from trapline.state.schema import logs

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database.in_home(tmp_path_factory.mktemp("home"))
    yield database
    database.close()


@pytest.fixture
def database(shared: Database) -> Database:
    with shared.transaction() as connection:
        connection.execute(logs.delete())
    return shared


def put(log: Logs, *texts: str, identity: str = "one") -> None:
    for text in texts:
        log.append(identity, build_digest="d1", source="t 12:00", text=text, now=NOON)


def kept(log: Logs, identity: str = "one", **bounds: int) -> list[str]:
    return [entry.text for entry in log.tail(identity, 5_000, **bounds)]


def test_what_was_printed_comes_back_oldest_first(database: Database) -> None:
    log = Logs(database)
    put(log, "hello\n", "again")
    log.append("one", build_digest="d2", source="its own tests", text="last", now=NOON + timedelta(microseconds=1))
    first, second, third = log.tail("one", 10)
    assert (first.text, second.text) == ("hello\n", "again")
    assert third == Entry(third.id, NOON + timedelta(microseconds=1), "d2", "its own tests", "last")
    assert log.tail("one", 2) == [second, third]
    assert log.tail("one", 10, after=second.id) == [third]
    assert log.tail("one", 10, after=third.id) == []


def test_detections_have_nothing_to_do_with_each_other(database: Database) -> None:
    log = Logs(database, kept_text=8)
    put(log, "mine")
    put(log, "12345678", "12345678", identity="two")
    assert (kept(log), kept(log, "two")) == (["mine"], ["12345678"])
    log.forget(["two", "three"])
    assert (kept(log), kept(log, "two")) == (["mine"], [])


@pytest.mark.parametrize("blank", ["", "\n", " \t\n"])
def test_nothing_but_blanks_is_no_entry(database: Database, blank: str) -> None:
    log = Logs(database)
    put(log, blank)
    assert kept(log) == []


def test_the_oldest_entries_go_first(database: Database) -> None:
    log = Logs(database, kept_text=10, kept_entries=3)
    put(log, "aaaa", "bbbb", "cc")
    assert kept(log) == ["aaaa", "bbbb", "cc"]
    put(log, "d")
    assert kept(log) == ["bbbb", "cc", "d"]
    put(log, "eeeeeeee")
    assert kept(log) == ["d", "eeeeeeee"]


def test_an_entry_that_is_too_long_keeps_its_end(database: Database) -> None:
    log = Logs(database, kept_text=10)
    put(log, "before", "0123456789ABCDEF")
    assert kept(log) == ["…789ABCDEF"]


def test_megabytes_are_bounded_by_default(database: Database) -> None:
    log = Logs(database)
    put(log, "x", *["line\n" * 100_000] * 3)
    assert [len(text) for text in kept(log)] == [500_000] * 2
    put(log, "\U0001f525" * 3_000_000 + "the end")
    (text,) = kept(log)
    assert (len(text), text[-9:]) == (2**20, "\U0001f525\U0001f525the end")


def test_a_thousand_entries_are_kept_by_default(database: Database) -> None:
    row = {"identity": "one", "at": NOON, "build_digest": "d", "source": "s"}
    with database.transaction() as connection:
        connection.execute(logs.insert(), [{**row, "text": str(number)} for number in range(1_005)])
    log = Logs(database)
    put(log, "newest")
    texts = kept(log)
    assert (len(texts), texts[0], texts[-1]) == (1_000, "6", "newest")


def test_hostile_text_is_kept_and_well_formed(database: Database) -> None:
    log = Logs(database)
    put(log, "a\0b\ud800c\x1b[2J\r\n'); DROP TABLE logs; --")
    assert kept(log) == ["a\ufffdb\ufffdc\x1b[2J\r\n'); DROP TABLE logs; --"]


_ANY = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\0\ud800\n\x1b")


@given(st.lists(st.text(_ANY, max_size=12), max_size=12))
def test_the_newest_that_fits_is_kept_in_order(shared: Database, texts: list[str]) -> None:
    log = Logs(shared, kept_text=16, kept_entries=4)
    log.forget(["one"])
    put(log, *texts)
    printed = [text for text in texts if text.strip()]
    lengths = [len(text) for text in printed]
    fitting = max(n for n in range(min(len(printed), 4) + 1) if sum(lengths[len(lengths) - n :]) <= 16)
    with shared.reading() as connection:
        found = connection.execute(sa.select(logs.c.text).where(logs.c.identity == "one").order_by(logs.c.id))
    assert [len(text) for text in found.scalars()] == lengths[len(lengths) - fitting :]
