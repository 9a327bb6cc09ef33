"""Which partitions a window touches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.query.partitions import spelled, touched
from trapline.window import Window

DAYS, HOURS = {"day": "%Y-%m-%d"}, {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}
moments = st.datetimes(datetime(1999, 1, 1), datetime(2101, 1, 1), timezones=st.just(UTC))


def window(start: str, end: str) -> Window:
    return Window(datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_the_partitions_that_a_window_touches() -> None:
    assert touched(DAYS, window("2024-02-28T23:00Z", "2024-03-01T00:00Z")) == [
        {"day": "2024-02-28"},
        {"day": "2024-02-29"},
    ]
    assert touched(HOURS, window("2024-01-31T23:59Z", "2024-02-01T00:00:00.000001Z")) == [
        {"year": "2024", "month": "01", "day": "31", "hour": "23"},
        {"year": "2024", "month": "02", "day": "01", "hour": "00"},
    ]
    assert touched({"month": "%Y/%m"}, window("2024-01-01T00:00Z", "2024-02-15T00:00Z")) == [
        {"month": "2024/01"},
        {"month": "2024/02"},
    ]


def test_partitions_are_in_utc() -> None:
    east = timezone(timedelta(hours=9))
    start = datetime(2024, 1, 2, 1, tzinfo=east)
    assert touched(DAYS, Window(start, start + timedelta(hours=1))) == [{"day": "2024-01-01"}]


@given(moments, st.timedeltas(timedelta(microseconds=1), timedelta(days=3)), st.floats(0, 1, exclude_max=True))
def test_every_moment_of_a_window_is_in_a_partition_that_it_touches(
    start: datetime, length: timedelta, share: float
) -> None:
    for partition in (DAYS, HOURS, {"at": "%Y/%m/%d/%H"}):
        found = touched(partition, Window(start, start + length))
        moment = min(start + length * share, start + length - timedelta(microseconds=1))
        assert {column: moment.strftime(form) for column, form in partition.items()} in found
        assert len({tuple(values.values()) for values in found}) == len(found) <= 74


@pytest.mark.parametrize(
    ("form", "value", "said"),
    [
        ("%m", "7", "07"),
        ("%d", "29", "29"),
        ("%Y-%m-%d", "2024-02-29", "2024-02-29"),
        ("%Y-%m-%d", "2023-02-29", None),
        ("%m/%d", "2/29", "02/29"),
        ("%Y-%m-%d", "__HIVE_DEFAULT_PARTITION__", None),
        ("%H", "24", None),
    ],
)
def test_a_value_is_spelled_as_its_format_says(form: str, value: str, said: str | None) -> None:
    assert spelled(form, value) == said
