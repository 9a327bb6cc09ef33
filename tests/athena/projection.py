"""Partition projection: partitions that Athena works out from a table's properties instead of asking Glue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product

from tests.athena.errors import failed

_JAVA = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_UNITS = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(days=1)}
_RELATIVE = re.compile(r"NOW\s*(?:([+-])\s*(\d+)\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?)?", re.IGNORECASE)
_SECONDS = {"year": 31_536_000, "month": 2_592_000, "week": 604_800, "day": 86_400, "hour": 3600, "minute": 60}


def projected(
    keys: Sequence[str], properties: Mapping[str, str], location: str
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each partition's values and location, whether there are objects or not."""
    template = properties.get("storage.location.template") or (
        location.rstrip("/") + "".join(f"/{key}=${{{key}}}" for key in keys)
    )
    for values in product(*(_values(key, properties) for key in keys)):
        place = template
        for key, value in zip(keys, values, strict=True):
            place = place.replace(f"${{{key}}}", value)
        yield values, place


def _values(key: str, properties: Mapping[str, str]) -> list[str]:
    of = {name.rpartition(".")[2]: value for name, value in properties.items() if name.startswith(f"projection.{key}.")}
    kind = of.get("type")
    if kind == "enum":
        return [value.strip() for value in of["values"].split(",")]
    if kind == "integer":
        first, last = (int(part) for part in of["range"].split(","))
        step, digits = int(of.get("interval", 1)), int(of.get("digits", 0))
        return [str(number).zfill(digits) for number in range(first, last + 1, step)]
    if kind == "date":
        return _dates(of | {"unit": properties.get(f"projection.{key}.interval.unit", "DAYS")})
    raise failed("INVALID_TABLE_PROPERTY", f"Partition projection of column '{key}' has type {kind}")


def _dates(of: Mapping[str, str]) -> list[str]:
    form = _strftime(of["format"])
    at, last = (_moment(part.strip(), form) for part in of["range"].split(","))
    step = _UNITS[of["unit"].lower()] * int(of.get("interval", 1))
    found = []
    while at <= last:
        found.append(at.strftime(form))
        at += step
    return found


def _moment(text: str, form: str) -> datetime:
    relative = _RELATIVE.fullmatch(text)
    if relative is None:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    now = datetime.now(UTC)
    sign, count, unit = relative.groups()
    shift = timedelta(seconds=int(count) * _SECONDS.get(unit.lower(), 1)) if sign else timedelta()
    return now - shift if sign == "-" else now + shift


def _strftime(java: str) -> str:
    """`yyyy-MM-dd` as `%Y-%m-%d`; what stands in quotes is itself."""
    parts = re.split(r"'([^']*)'", java)
    for place in range(0, len(parts), 2):
        parts[place] = re.sub("yyyy|MM|dd|HH|mm|ss", lambda found: _JAVA[found.group()], parts[place])
    return "".join(parts)
