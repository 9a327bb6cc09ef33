"""Durations, sizes and rates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.units import format_duration, parse_duration, parse_rate, parse_size
from trapline_plugins.api import Rate


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=3660)))
def test_durations_go_there_and_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (90, 90),
        (0.5, 0.5),
        ("0s", 0),
        ("500ms", 0.5),
        ("1s500ms", 1.5),
        ("1m2ms", 60.002),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 minutes", "-5m", -1, True, None, [], "5x", float("nan"), float("inf"), 10**30, "9999999d"]
)
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.text() | st.floats() | st.integers() | st.binary())
def test_anything_is_a_duration_or_a_value_error(value: object) -> None:
    try:
        assert parse_duration(value) >= timedelta()
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("text", "size"), [("512MiB", 512 * 2**20), ("1G", 10**9), ("2 KiB", 2048), ("100", 100), (7, 7), ("10KB", 10_000)]
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", -1, 1.5, True, None, "1TiBs"])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [
        ("60/m", 60, 60),
        ("1/s", 1, 1),
        ("500/h", 500, 3600),
        (" 5 / 30s ", 5, 30),
        ("10/1m30s", 10, 90),
        ("9/d", 9, 86400),
    ],
)
def test_rates(text: str, count: int, seconds: int) -> None:
    rate = Rate(count, timedelta(seconds=seconds))
    assert parse_rate(text) == rate
    assert parse_rate(rate) is rate


@pytest.mark.parametrize("text", ["", "60", 60, None, "0/m", "-1/s", "60/0s", "60/x", "60/", "/m", "1.5/s", "60/m/s"])
def test_no_rates(text: object) -> None:
    with pytest.raises(ValueError, match="is no rate; write one such as"):
        parse_rate(text)
