"""Partitions of a table by time: which of them a window can have records in.

A table says of each partition column what of a record's time it holds, as a format: `{year: "%Y", month: "%m"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from trapline.window import Window

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def touched(partition: Mapping[str, str], window: Window) -> list[dict[str, str]]:
    """The values of the columns, of every partition that the window touches; in UTC, oldest first."""
    hourly = any("%H" in form for form in partition.values())
    moment = window.start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    moment = moment if hourly else moment.replace(hour=0)
    found: dict[tuple[str, ...], dict[str, str]] = {}
    while moment < window.end:
        values = {column: moment.strftime(form) for column, form in partition.items()}
        found.setdefault(tuple(values.values()), values)
        moment += _HOUR if hourly else _DAY
    return list(found.values())


def spelled(form: str, value: str) -> str | None:
    """A partition's value as its format spells it (`7` is `07` by `%m`); None where it is no such value."""
    try:
        # 2000 was a leap year, so that the 29th of February of no year is one; and %Y alone does without it.
        moment = datetime.strptime(value if "%Y" in form else f"2000 {value}", form if "%Y" in form else f"%Y {form}")
    except ValueError:
        return None
    return moment.strftime(form)
