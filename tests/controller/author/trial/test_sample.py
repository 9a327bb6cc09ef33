"""Samples of tables: taken from all over the window, fetched once, and fetched again where another would come of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.playground import NOON, Playground
from trapline.author.checkout import Checkout
from trapline.author.trial import sample as sample_module
from trapline.author.trial.sample import Asked, Sample, Samples
from trapline.errors import TraplineError
from trapline.query.engine import QueryError
from trapline.window import Window

DAY = Window(NOON, NOON + timedelta(minutes=400))
Fetch = Callable[..., Sample]


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)


@pytest.fixture
def fetch(ground: Playground, tmp_path: Path) -> Fetch:
    """Each time as another command would do it."""

    def sample(asked: Asked, *, fresh: bool = False, table: str = "logs") -> Sample:
        samples = Samples(tmp_path / "samples", ground.home, lambda: ground.now)
        settings = Checkout.around(ground.repository).settings
        return samples.sample(settings, table, asked, fresh=fresh)

    return sample


def minutes(sample: Sample) -> list[float]:
    return [(at - NOON) / timedelta(minutes=1) for at in sample.records["ts"].to_pylist()]


def test_all_of_a_small_window_in_order(ground: Playground, fetch: Fetch) -> None:
    ground.records(*reversed(range(0, 400, 10)))
    ground.records(500)
    found = fetch(Asked(DAY, 1_000))
    assert minutes(found) == list(range(0, 400, 10))
    assert found.whole
    assert (found.fetched_at, found.window) == (NOON, DAY)


def test_of_a_large_one_a_share_of_each_part(ground: Playground, fetch: Fetch) -> None:
    ground.records(*range(400))
    found = fetch(Asked(DAY, 100))
    assert not found.whole
    assert found.count == 100
    quarters = [int(minute // 100) for minute in minutes(found)]
    assert [quarters.count(each) for each in range(4)] == [25] * 4


def test_what_newer_parts_lack_older_ones_give(ground: Playground, fetch: Fetch) -> None:
    ground.records(*range(100))
    ground.records(399)
    assert fetch(Asked(DAY, 101)).whole
    found = fetch(Asked(DAY, 60))
    assert (found.count, found.whole) == (60, False)


def test_it_is_kept_until_somebody_asks_anew(ground: Playground, fetch: Fetch) -> None:
    ground.records(1)
    asked = Asked(DAY, 100)
    assert fetch(asked).count == 1
    ground.records(2)
    ground.at(90)
    kept = fetch(asked)
    assert (kept.count, kept.fetched_at) == (1, NOON)
    assert fetch(asked, fresh=True).count == 2
    assert fetch(asked).count == 2


def test_a_window_that_ends_now_may_be_a_little_older(ground: Playground, fetch: Fetch) -> None:
    ground.records(1)
    later = Window(DAY.start + timedelta(minutes=5), DAY.end + timedelta(minutes=5))
    assert fetch(Asked(DAY, 100, now=True)).window == DAY
    assert fetch(Asked(later, 100, now=True)).window == DAY
    assert fetch(Asked(later, 100)).window == later
    assert fetch(Asked(Window(NOON, NOON + timedelta(hours=1)), 100, now=True)).window != DAY


def test_another_question_is_another_sample(ground: Playground, fetch: Fetch) -> None:
    ground.records(1, event={"action": "bad"})
    ground.records(2, event={"action": "good"})
    assert fetch(Asked(DAY, 100)).count == 2
    bad = fetch(Asked(DAY, 100, where="event.action = 'bad'"))
    assert minutes(bad) == [1]
    (ground.lake / "others").mkdir()
    ground.records(3, table="others")
    ground.settings(tables={"logs": {"path": "lake/others"}})
    assert minutes(fetch(Asked(DAY, 100))) == [3]


def test_a_broken_file_is_fetched_again(ground: Playground, fetch: Fetch, tmp_path: Path) -> None:
    ground.records(1)
    fetch(Asked(DAY, 100))
    [file] = (tmp_path / "samples").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert fetch(Asked(DAY, 100)).count == 1


def test_no_records_are_a_sample_too(ground: Playground, fetch: Fetch) -> None:
    assert fetch(Asked(DAY, 100)).count == 0
    ground.records(500)
    empty = fetch(Asked(DAY, 100), fresh=True)
    assert (empty.count, empty.whole) == (0, True)
    assert fetch(Asked(DAY, 100)).count == 0


def test_older_files_may_lack_a_column(ground: Playground, fetch: Fetch) -> None:
    ground.records(1)
    ground.records(399, more=7)
    assert fetch(Asked(DAY, 100)).records["more"].to_pylist() == [None, 7]


def test_only_the_last_used_are_kept(
    ground: Playground, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module, "KEPT", 2)
    for most in (100, 200, 300):
        fetch(Asked(DAY, most))
    assert len(list((tmp_path / "samples").iterdir())) == 2


def test_what_cannot_be_had_is_said(ground: Playground, fetch: Fetch, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="there is no table 'nowhere'"):
        fetch(Asked(DAY, 100), table="nowhere")
    (tmp_path / "samples").write_text("in the way")
    with pytest.raises(TraplineError, match="cannot be kept"):
        fetch(Asked(DAY, 100))


class Far:
    """An engine whose queries run elsewhere, and would read too much."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.asked: list[Window] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def remote(self, table: str) -> bool:
        return True

    def estimate(self, *_: Any) -> int:
        return 10 * sample_module.AFFORDABLE

    def scan(self, request: Any, wanted: Any) -> Any:
        self.asked.append(request.window)
        return self._engine.scan(request, wanted)


def test_of_a_large_table_far_away_little_is_read(
    ground: Playground, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.records(*range(400))
    far: list[Far] = []

    def lake(*arguments: Any, **options: Any) -> Far:
        far.append(Far(real(*arguments, **options)))
        return far[-1]

    real = sample_module.Lake
    monkeypatch.setattr(sample_module, "Lake", lake)
    found = fetch(Asked(DAY, 1_000))
    assert not found.whole
    assert found.count == 40
    ground.settings(tables={"logs": {"path": "lake/logs", "budget": {"query": "256MiB"}}})
    assert fetch(Asked(DAY, 1_000)).count == 12
    assert sum(((each.end - each.start) for each in far[0].asked), timedelta()) == timedelta(minutes=40)
