"""Durations (`500ms`, `30s`, `1d`), sizes (`512MiB`), rates (`60/m`) and moments as config files write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from trapline_plugins.api import Rate

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?(?:ms|[dhms]))+")
_PART = re.compile(r"([\d.]+)(ms|[dhms])")
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SIZE = re.compile(r"(\d{1,12})\s*([KMG]i?)?B?")
_RATE = re.compile(r"(\d{1,6})\s*/\s*(\S{1,20})")
_LONGEST = timedelta(days=3660)


def parse_duration(value: Any) -> timedelta:
    """`90`, `30s`, `1h30m` and timedeltas; raises ValueError for all else, and for more than ten years."""
    duration = _duration(value)
    if duration is None:
        raise ValueError(f"{value!r} is no duration; write one such as 30s, 5m, 1h30m or 1d, or a number of seconds")
    if not timedelta() <= duration <= _LONGEST:
        raise ValueError(f"a duration is between 0s and {format_duration(_LONGEST)}")
    return duration


def _duration(value: Any) -> timedelta | None:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value) if abs(value) <= _LONGEST.total_seconds() * 2 else _LONGEST * 2
    if isinstance(value, str) and _DURATION.fullmatch(text := value.strip()):
        try:
            return sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta())
        except OverflowError:
            return _LONGEST * 2
    return None


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads as the same: `1h30m`."""
    parts, rest = [], duration
    for unit in "dhm":
        count, rest = divmod(rest, _UNITS[unit])
        parts.append(f"{count}{unit}" if count else "")
    if rest or not any(parts):
        parts.append(f"{rest.seconds}.{rest.microseconds:06}".rstrip("0").rstrip(".") + "s")
    return "".join(parts)


def parse_size(value: Any) -> int:
    """A number of bytes, or a text such as `512MiB`, `1G`; raises ValueError for all else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (parts := _SIZE.fullmatch(value.strip())):
        return int(parts[1]) * _SIZES[parts[2] or ""]
    raise ValueError(f"{value!r} is no size; write one such as 512MiB or 1GiB, or a number of bytes")


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta():
        raise ValueError("the duration should be longer than 0s")
    return duration


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_rate(value: Any) -> Rate:
    """`60/m`, `1/s`, `500/h`, `5/30s`: so many within such a time; raises ValueError for all else."""
    if isinstance(value, Rate):
        return value
    parts = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    period = _duration(parts[2] if parts[2][0].isdigit() else f"1{parts[2]}") if parts else None
    if parts is None or not period or int(parts[1]) == 0:
        raise ValueError(f"{value!r} is no rate; write one such as 1/s, 60/m or 500/h")
    return Rate(int(parts[1]), period)


_DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": f"^{_DURATION.pattern}$"}, {"type": "number", "minimum": 0}],
    "examples": ["30s", "5m", "1h30m", "1d"],
}
_SIZE_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": f"^{_SIZE.pattern}$"}, {"type": "integer", "minimum": 0}],
    "examples": ["512MiB", "1GiB", "20GB"],
}
_RATE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{_RATE.pattern}$", "examples": ["1/s", "60/m", "500/h"]}

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
Period = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
Limit = Annotated[Rate, BeforeValidator(parse_rate), WithJsonSchema(_RATE_SCHEMA)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
