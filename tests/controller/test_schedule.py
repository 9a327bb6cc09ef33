"""Schedules: moments in UTC that are aligned, so that equal schedules agree whenever they are asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.schedule import Cron, Every, Schedule, ScheduleError, checked_cron

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
crons = st.sampled_from(["* * * * *", "*/15 * * * *", "30 6 * * 1-5", "0 0 1 * *", "7 3,15 * * SUN"])
schedules = st.one_of(crons.map(Cron), st.integers(1, 10**6).map(lambda n: Every(timedelta(seconds=n))))


@given(schedules, moments)
def test_now_lies_between_the_last_moment_and_the_next(schedule: Schedule, now: datetime) -> None:
    last, after = schedule.last(now), schedule.next(now)
    assert last <= now < after
    assert schedule.next(last) == after
    assert schedule.last(after) == after
    assert schedule.last(after - timedelta(microseconds=1)) == last


@pytest.mark.parametrize(
    ("period", "now", "last"),
    [
        (timedelta(minutes=15), MONDAY.replace(hour=3, minute=29, second=59), MONDAY.replace(hour=3, minute=15)),
        (timedelta(hours=1), MONDAY.replace(hour=3), MONDAY.replace(hour=3)),
        (timedelta(days=1), MONDAY.replace(hour=23), MONDAY),
        (timedelta(days=7), MONDAY + timedelta(days=6), MONDAY),
    ],
    ids=["quarters", "hours", "days", "weeks"],
)
def test_periods_are_counted_from_a_monday_at_midnight(period: timedelta, now: datetime, last: datetime) -> None:
    assert Every(period).last(now) == last


def test_cron_is_in_utc_wherever_one_is() -> None:
    east = datetime(2026, 1, 5, 8, 15, tzinfo=timezone(timedelta(hours=2)))
    assert Cron("30 6 * * *").next(east) == MONDAY.replace(hour=6, minute=30)
    assert Cron("30 6 * * *").last(east) == MONDAY.replace(hour=6, minute=30) - timedelta(days=1)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "has 0 fields"),
        ("*/5 * * *", "has 4 fields"),
        ("0 */5 * * * *", "has 6 fields"),
        ("61 * * * *", "bad minute"),
        ("* * * * funday", "bad day-of-week"),
        ("0 0 30 2 *", "bad day-of-month"),
    ],
)
def test_what_is_no_cron_expression_is_said_with_the_remedy(expression: str, said: str) -> None:
    with pytest.raises(ScheduleError, match=said) as caught:
        checked_cron(expression)
    assert "day of the week" in caught.value.remedy
