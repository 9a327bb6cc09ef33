"""What rules often need, for `from trapline_sandbox.helpers import ...`. Standard library only, and no surprises:

whatever stands in a record, a helper answers, and never raises for it; a null is no match and no value.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

__all__ = ["decode_base64", "deep_walk", "glob_match", "ip_in_network", "is_public_ip", "parse_time", "wildcard_match"]

_MILLISECONDS = 100_000_000_000  # as seconds this is the year 5138, as milliseconds 1973
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")


def ip_in_network(address: Any, *networks: str) -> bool:
    """Whether an address lies in one of the networks, such as "10.0.0.0/8" or "2001:db8::/32".

    False for what is no address, such as the "AWS Internal" of CloudTrail. Raises ValueError for a network that is
    none: that is a mistake of the rule.

    >>> ip_in_network("10.1.2.3", "192.168.0.0/16", "10.0.0.0/8")
    True
    """
    found = _address(address)
    wanted = [_network(network) for network in networks]
    return found is not None and any(found in network for network in wanted if network.version == found.version)


def is_public_ip(address: Any) -> bool:
    """Whether an address can be reached from anywhere: neither private nor reserved nor for documentation.

    >>> is_public_ip("8.8.8.8"), is_public_ip("10.1.2.3"), is_public_ip(None)
    (True, False, False)
    """
    found = _address(address)
    return found is not None and found.is_global


def wildcard_match(text: Any, *patterns: str, ignore_case: bool = False) -> bool:
    """Whether a text as a whole is like one of the patterns, as IAM has them: `*` is any text, `?` any one character.

    >>> wildcard_match("arn:aws:iam::123456789012:role/admin", "arn:aws:iam::*:role/*")
    True
    """
    return isinstance(text, str) and any(_wildcard(pattern, ignore_case).fullmatch(text) for pattern in patterns)


def glob_match(path: Any, *patterns: str, ignore_case: bool = False) -> bool:
    """Whether a path as a whole is like one of the patterns: `*` and `?` stay within a part, `**` goes over `/`,
    `[ab]` is one of these characters and `[!ab]` any other. Raises ValueError for a pattern such as `[z-a]`.

    >>> glob_match("backup/2026/db.sql", "backup/**/*.sql"), glob_match("backup/2026/db.sql", "backup/*.sql")
    (True, False)
    """
    return isinstance(path, str) and any(_glob(pattern, ignore_case).fullmatch(path) for pattern in patterns)


def parse_time(value: Any) -> datetime | None:
    """A moment in UTC from ISO 8601 text, from seconds or milliseconds since 1970, or from a datetime; else None.

    What names no zone is in UTC.

    >>> parse_time("2026-01-02T03:04:05Z") == parse_time(1767323045) == parse_time("1767323045000")
    True
    """
    try:
        if isinstance(value, str):
            value = _number(value)
        if isinstance(value, str):
            value = datetime.fromisoformat(_NANOSECONDS.sub(r"\1", value.strip()))
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1_000 if abs(value) >= _MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):  # no time, or none that there is room for
        pass
    return None


def decode_base64(text: Any, encoding: str = "utf-8") -> str | None:
    """The text behind base64, the alphabet for URLs too, with or without its padding; None where it is none.

    PowerShell's `-EncodedCommand` is in "utf-16-le".

    >>> decode_base64("d2hvYW1p"), decode_base64("!")
    ('whoami', None)
    """
    if not isinstance(text, str):
        return None
    plain = "".join(text.split()).rstrip("=").translate(_FROM_URLS)
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode(encoding)
    except ValueError:
        return None


def deep_walk(value: Any, path: str | Sequence[str | int]) -> Iterator[Any]:
    """Every value at a path, through all items of the lists on the way and at its end; nulls are left out.

    A part that is a number is a place in a list, as in `deepget`.

    >>> record = {"resources": [{"arn": "a", "tags": ["x", "y"]}, {"arn": "b", "tags": None}]}
    >>> list(deep_walk(record, "resources.arn")), list(deep_walk(record, "resources.tags"))
    (['a', 'b'], ['x', 'y'])
    """
    parts = path.split(".") if isinstance(path, str) else path
    return _walk(value, parts)


def _walk(value: Any, parts: Sequence[str | int]) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        place = _place(parts[0]) if parts else None
        if place is None:
            for item in value:
                yield from _walk(item, parts)
        elif -len(value) <= place < len(value):
            yield from _walk(value[place], parts[1:])
    elif not parts:
        if value is not None:
            yield value
    elif isinstance(value, Mapping) and parts[0] in value:
        yield from _walk(value[parts[0]], parts[1:])


def _place(part: str | int) -> int | None:
    if isinstance(part, int):
        return part
    return int(part) if part.lstrip("-").isdecimal() else None


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _address(value: Any) -> IPv4Address | IPv6Address | None:
    if not isinstance(value, str):
        return None
    try:
        found = ip_address(value.strip())
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


@lru_cache(maxsize=1_000)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


_FROM_URLS = str.maketrans("-_", "+/")
_SIGNS = {"*": ".*", "?": "."}
_GLOB = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_GLOB_SIGNS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@lru_cache(maxsize=1_000)
def _wildcard(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    return _compiled("".join(_SIGNS.get(sign) or re.escape(sign) for sign in pattern), ignore_case)


@lru_cache(maxsize=1_000)
def _glob(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    try:
        return _compiled("".join(map(_glob_part, _GLOB.findall(pattern))), ignore_case)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no pattern: {error.msg}") from None


def _glob_part(part: str) -> str:
    if part in _GLOB_SIGNS:
        return _GLOB_SIGNS[part]
    if len(part) == 1:
        return re.escape(part)
    inside, other = part[1:-1], part[1] == "!"
    listed = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if other else inside)
    return f"(?!/)[{'^' if other else ''}{listed}]"


def _compiled(expression: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
