"""Indexes brought from the web: kept, asked for again, and told of where they cannot be had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.controller.author.registry.shop import Answer, Shop, open_shop
from trapline.author.registry.fetch import Found, fetch, read_file
from trapline.author.registry.index import MAX_BYTES, Index, read, written

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def content(title: str = "Mine") -> bytes:
    pack = {"name": "mine", "title": title, "description": "", "license": "MIT"}
    return written(read(json.dumps({"format": 1, "pack": pack, "detections": []}).encode(), "it")).encode()


def title(found: Found) -> str:
    assert isinstance(found.index, Index)
    return found.index.pack.title


class Browser:
    """Fetches, with a clock that is moved by hand."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.now = cache, NOON

    def __call__(self, url: str, *, offline: bool = False) -> Found:
        with httpx.Client() as http:
            return fetch(url, cache=self.cache, http=None if offline else http, now=lambda: self.now)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        yield shop


@pytest.fixture
def bring(tmp_path: Path) -> Browser:
    return Browser(tmp_path / "cache")


def test_what_is_there_is_brought_and_kept(shop: Shop, bring: Browser) -> None:
    shop.answers["/i"] = Answer(content())
    found = bring(f"{shop.url}/i")
    assert (title(found), found.age, found.problem) == ("Mine", None, None)
    bring.now += timedelta(hours=3)
    found = bring(f"{shop.url}/i", offline=True)
    assert (title(found), found.age, found.problem) == ("Mine", timedelta(hours=3), None)
    assert len(shop.asked) == 1


def test_what_has_not_changed_is_not_sent_again(shop: Shop, bring: Browser) -> None:
    shop.answers["/i"] = Answer(content(), headers={"ETag": '"one"'})
    bring(f"{shop.url}/i")
    bring.now += timedelta(hours=3)
    found = bring(f"{shop.url}/i")
    assert (title(found), found.age) == ("Mine", None)
    assert shop.asked == [("/i", None), ("/i", '"one"')]
    assert bring(f"{shop.url}/i", offline=True).age == timedelta()
    shop.answers["/i"] = Answer(content("Newer"), headers={"ETag": '"two"'})
    assert title(bring(f"{shop.url}/i")) == "Newer"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=500), "the answer is 500"),
        (Answer(status=304), "the answer is 304"),
        (Answer(b"no"), "cannot be read"),
        (Answer(b'{"format": 2}'), "of a format"),
        (Answer(status=302, headers={"Location": "/i"}), "more than 5 times"),
        (Answer(status=302, headers={"Location": "ftp://example.org/i"}), "leads away from http:// to ftp://"),
        (Answer(status=302, headers={"Location": "file:///etc/passwd"}), "leads away from http:// to file://"),
        (Answer(status=302, headers={"Location": "https://127.0.0.1/i"}), "leads away from http:// to https://"),
        (Answer(drip=b" " * 2**20), "more than 16 MiB"),
        (Answer(content(), headers={"Content-Length": "5000"}), "cannot be fetched"),
        (Answer(content(), headers={"Content-Encoding": "gzip"}, status=503), "the answer is 503"),
    ],
)
def test_what_is_wrong_is_told(shop: Shop, bring: Browser, answer: Answer, said: str) -> None:
    shop.answers["/i"] = answer
    found = bring(f"{shop.url}/i")
    assert found.index is None
    assert said in str(found.problem)
    assert f"{shop.url}/i" in str(found.problem)


def test_a_broken_index_does_not_take_the_place_of_a_good_one(shop: Shop, bring: Browser) -> None:
    shop.answers["/i"] = Answer(content())
    bring(f"{shop.url}/i")
    bring.now += timedelta(days=2)
    shop.answers["/i"] = Answer(b'{"format": 1, "pack": "\x1b[31m"}')
    for _ in range(2):
        found = bring(f"{shop.url}/i")
        assert (title(found), found.age) == ("Mine", timedelta(days=2))
        assert str(found.problem).isprintable()


def test_without_the_other_side_what_was_kept_is_used(bring: Browser) -> None:
    with open_shop() as shop:
        shop.answers["/i"] = Answer(content())
        bring(f"{shop.url}/i")
    bring.now += timedelta(minutes=5)
    found = bring(f"{shop.url}/i")
    assert (title(found), found.age) == ("Mine", timedelta(minutes=5))
    assert "cannot be fetched" in str(found.problem)


def test_what_comes_too_slowly_is_given_up(shop: Shop, bring: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.answers["/i"] = Answer(drip=b" ")
    monkeypatch.setattr("trapline.author.registry.fetch.monotonic", count(step=20).__next__)
    assert "did not come within 30 s" in str(bring(f"{shop.url}/i").problem)


def test_a_redirect_is_followed_within_its_scheme(shop: Shop, bring: Browser) -> None:
    shop.answers["/old"] = Answer(status=301, headers={"Location": "/new"})
    shop.answers["/new"] = Answer(content())
    assert title(bring(f"{shop.url}/old")) == "Mine"


def test_an_endless_etag_is_not_kept(shop: Shop, bring: Browser) -> None:
    shop.answers["/i"] = Answer(content(), headers={"ETag": f'"{"x" * 1000}"'})
    bring(f"{shop.url}/i")
    bring(f"{shop.url}/i")
    assert [known for _, known in shop.asked] == [None, None]


@pytest.mark.parametrize("damage", [b"", b"{", b"{}\n", b'{"etag": "", "asked_at": "then"}\n', b"[" * 100_000])
def test_a_damaged_copy_is_as_good_as_none(shop: Shop, bring: Browser, damage: bytes) -> None:
    shop.answers["/i"] = Answer(content())
    bring(f"{shop.url}/i")
    [kept] = bring.cache.iterdir()
    kept.write_bytes(damage)
    assert bring(f"{shop.url}/i", offline=True).index is None
    assert title(bring(f"{shop.url}/i")) == "Mine"


def test_a_cache_that_cannot_be_written_stops_nothing(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    shop.answers["/i"] = Answer(content())
    assert title(Browser(tmp_path / "cache")(f"{shop.url}/i")) == "Mine"


def test_each_address_has_its_own_copy(shop: Shop, bring: Browser) -> None:
    shop.answers |= {"/a": Answer(content("A")), "/b": Answer(content("B"))}
    assert [title(bring(f"{shop.url}{path}")) for path in ("/a", "/b")] == ["A", "B"]
    assert [title(bring(f"{shop.url}{path}", offline=True)) for path in ("/a", "/b")] == ["A", "B"]


def test_an_index_on_this_disk(tmp_path: Path) -> None:
    file = tmp_path / "index.json"
    assert "No such file" in str(read_file(file, "index.json").problem)
    assert "Is a directory" in str(read_file(tmp_path, ".").problem)
    file.write_bytes(content())
    assert title(read_file(file, "index.json")) == "Mine"
    file.write_bytes(b" " * (MAX_BYTES + 1))
    assert "16 MiB" in str(read_file(file, "index.json").problem)
