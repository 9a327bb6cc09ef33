"""Schedules: the moments at which a detection is due. They are aligned in UTC, so that equal schedules agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

_FIELDS = 5
_A_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_A_SECOND = timedelta(seconds=1)


class ScheduleError(ValueError):
    """Not a schedule. `remedy` says how to write one."""

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Every:
    """One moment in each period, counted from a Monday at midnight: `15m` is due at :00, :15, :30 and :45."""

    period: timedelta

    def last(self, now: datetime) -> datetime:
        """The newest moment that is not after `now`."""
        return now - (now - _A_MONDAY) % self.period

    def next(self, after: datetime) -> datetime:
        """The first moment after `after`."""
        return self.last(after) + self.period


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments of a cron expression in UTC: minute, hour, day of the month, month, day of the week."""

    expression: str

    def last(self, now: datetime) -> datetime:
        """The newest moment that is not after `now`."""
        whole = now.astimezone(UTC).replace(microsecond=0)
        return next(CronSim(self.expression, whole + _A_SECOND, reverse=True))

    def next(self, after: datetime) -> datetime:
        """The first moment after `after`."""
        return next(CronSim(self.expression, after.astimezone(UTC)))


Schedule = Every | Cron


def checked_cron(expression: str) -> str:
    """The expression itself. Raises ScheduleError where it is none, or names no moment at all."""
    remedy = 'write minute, hour, day of the month, month and day of the week, such as "*/15 * * * *"; times are UTC'
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise ScheduleError(f"{expression!r} has {len(fields)} fields, and a cron expression has five", remedy=remedy)
    try:
        moments: Iterator[datetime] = CronSim(expression, _A_MONDAY)
    except CronSimError as error:
        raise ScheduleError(f"{expression!r} is no cron expression: {str(error).lower()}", remedy=remedy) from None
    if next(moments, None) is None:
        raise ScheduleError(f"{expression!r} names no moment at all", remedy=remedy)
    return expression
