"""The steady clock: time goes on as it should while the wall's clock is somewhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trapline.clock import SteadyClock, uptime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A_YEAR = timedelta(days=365)


class Clocks:
    """Both clocks of a machine: `passed` minutes in truth, and by how much the wall's is ahead."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.ahead = timedelta()
        self.steady = SteadyClock(lambda: self.true() + self.ahead, elapsed=lambda: self.passed * 60)

    def true(self) -> datetime:
        return NOON + timedelta(minutes=self.passed)

    def off_by(self) -> timedelta:
        """What the steady clock says, against the truth."""
        return self.steady() - self.true()

    def at(self, passed: float, ahead: timedelta) -> timedelta:
        self.passed, self.ahead = passed, ahead
        return self.off_by()


def test_a_jump_ahead_that_is_taken_back_is_as_good_as_none() -> None:
    clocks = Clocks()
    assert clocks.at(5, timedelta()) == timedelta()
    assert [clocks.at(minute, A_YEAR) for minute in (6, 10, 15)] == [timedelta()] * 3
    assert clocks.at(16, timedelta()) == timedelta()
    assert [clocks.at(minute, A_YEAR) for minute in (17, 26)] == [timedelta()] * 2  # a jump of its own


def test_a_clock_that_stays_ahead_is_followed_after_ten_minutes() -> None:
    clocks = Clocks()
    assert [clocks.at(minute, A_YEAR) for minute in (1, 10.9, 11)] == [timedelta(), timedelta(), A_YEAR]
    assert clocks.at(12, A_YEAR) == A_YEAR


def test_the_patience_begins_anew_with_another_jump() -> None:
    clocks = Clocks()
    clocks.at(1, timedelta(hours=1))
    assert clocks.at(9, A_YEAR) == timedelta()
    assert clocks.at(12, A_YEAR) == timedelta()
    assert clocks.at(19, A_YEAR) == A_YEAR


def test_a_clock_that_jumps_back_is_followed_and_so_is_its_return() -> None:
    clocks = Clocks()
    assert clocks.at(5, -A_YEAR) == -A_YEAR
    assert clocks.at(6, timedelta()) == timedelta()


def test_a_drift_is_followed() -> None:
    clocks = Clocks()
    assert clocks.at(5, timedelta(seconds=40)) == timedelta(seconds=40)


def test_the_clock_that_nobody_sets_goes_on() -> None:
    assert uptime() <= uptime()
