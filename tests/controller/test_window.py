"""Windows: half-open, bounded, and together without gap or overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.window import Window, next_window

START = datetime(2026, 1, 1, tzinfo=UTC)
seconds = st.integers(0, 10**6).map(lambda n: timedelta(seconds=n))


@given(seconds, seconds, st.integers(1, 10**5).map(lambda n: timedelta(seconds=n)))
def test_catching_up_covers_everything_up_to_the_lag_exactly_once(
    ahead: timedelta, lag: timedelta, longest: timedelta
) -> None:
    now = START + ahead
    longest = max(longest, ahead / 50)
    position, windows = START, []
    while window := next_window(position, now=now, lag=lag, longest=longest):
        windows.append(window)
        position = window.end
    assert all(before.end == after.start for before, after in pairwise(windows))
    assert all(window.end - window.start <= longest for window in windows)
    assert position == max(START, now - lag)


def test_a_clock_that_jumped_back_gives_no_window() -> None:
    assert next_window(START, now=START - timedelta(hours=1), lag=timedelta(0), longest=timedelta(days=1)) is None


def test_a_window_needs_time_zones_and_an_end_after_its_start() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Window(datetime(2026, 1, 1), START)
    with pytest.raises(ValueError, match="ends after it starts"):
        Window(START, START)
