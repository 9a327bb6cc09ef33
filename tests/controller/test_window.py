"""Windows: half-open, bounded, without gap, and reaching back by the overlap alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.window import Checkpoint, Window

START = datetime(2026, 1, 1, tzinfo=UTC)
A_DAY = timedelta(days=1)
seconds = st.integers(0, 10**6).map(lambda n: timedelta(seconds=n))


def caught_up(checkpoint: Checkpoint, until: datetime, longest: timedelta, overlap: timedelta) -> list[Window]:
    """The windows that a detection reads to get there."""
    windows = []
    while window := checkpoint.window(until=until, longest=longest, overlap=overlap):
        windows.append(window)
        checkpoint = Checkpoint(window.end, checkpoint.start)
    return windows


@given(seconds, seconds, st.integers(1, 10**5).map(lambda n: timedelta(seconds=n)))
def test_catching_up_covers_everything_once_and_again_only_by_the_overlap(
    ahead: timedelta, overlap: timedelta, longest: timedelta
) -> None:
    longest = max(longest, ahead / 50)
    windows = caught_up(Checkpoint(START, START), START + ahead, longest, overlap)
    assert [window.start for window in windows[1:]] == [max(START, window.end - overlap) for window in windows[:-1]]
    assert all(after.end - before.end <= longest for before, after in pairwise(windows))
    assert (windows[-1].end if windows else START) == START + ahead
    assert not windows or windows[0].start == START


def test_nothing_is_read_again_where_there_is_nothing_new() -> None:
    checkpoint = Checkpoint(START, START - A_DAY)
    assert checkpoint.window(until=START, longest=A_DAY, overlap=A_DAY) is None
    assert checkpoint.window(until=START - timedelta(hours=1), longest=A_DAY, overlap=A_DAY) is None


def test_no_window_reaches_back_before_the_start() -> None:
    later, hour = START + timedelta(hours=2), timedelta(hours=1)
    started = Checkpoint(START + hour, START + hour / 2)
    assert started.window(until=later, longest=A_DAY, overlap=2 * hour) == Window(START + hour / 2, later)
    unknown = Checkpoint(START + hour)
    assert unknown.window(until=later, longest=A_DAY, overlap=2 * hour) == Window(START - hour, later)


def test_the_ends_of_time_are_no_trouble() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert Checkpoint(first, first).window(until=last, longest=None, overlap=A_DAY) == Window(first, last)
    assert Checkpoint(last, last).window(until=START, longest=A_DAY, overlap=A_DAY) is None


def test_a_window_needs_time_zones_and_an_end_after_its_start() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Window(datetime(2026, 1, 1), START)
    with pytest.raises(ValueError, match="ends after it starts"):
        Window(START, START)
