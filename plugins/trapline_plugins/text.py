"""Making attackers' text safe to hand on: for terminals, and as well-formed JSON. Pure; for every plugin's use."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from trapline_plugins.api import Notification, Provenance

MAX_DEPTH = 64
"""Nested values deeper than this are cut: serialisers on the way give up at different depths."""

CUT = "…"

_ESCAPE = re.compile(
    r"""(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?                  # CSI: colours, cursor moves
      | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])            # OSC, DCS, SOS, PM, APC: titles, links, clipboard
        [^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?
      | \x1b[ -/]*[0-~]?                                   # the short ones
    """,
    re.VERBOSE,
)
# These reorder what a person reads, on the whole line and beyond.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where some are missing."""
    return text if len(text) <= limit else text[: limit - 1] + CUT


def cut_utf16(text: str, limit: int) -> str:
    """The same in UTF-16 units, in which Slack and Jira may count: a character beyond the first 65,536 is two."""
    units = text.encode("utf-16-le")
    return text if len(units) <= 2 * limit else units[: 2 * (limit - 1)].decode("utf-16-le", "ignore") + CUT


def utf16_length(text: str) -> int:
    """The length of well-formed text in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def one_line(text: str, limit: int = 1000) -> str:
    """The text on one line that a terminal shows as it is: no escapes, control characters or reordering."""
    # Cut early: a hostile text may be megabytes long, and its escapes need not be looked at all.
    return cut(" ".join(visible(text[: limit * 8]).split()), limit)


def lines(text: str, *, limit: int = 1000, count: int = 80, length: int = 8000) -> list[str]:
    """The text as safe lines without trailing blanks, indented as they are: at most `count` lines of at most `limit`
    characters, of a text that is cut at `length`."""
    shown = [_indent(line) + one_line(line, limit) for line in cut(text, length).splitlines()]
    shown = [line if line.strip() else "" for line in shown]
    while shown and not shown[-1]:
        shown.pop()
    return shown if len(shown) <= count else [*shown[: count - 1], CUT]


def _indent(line: str) -> str:
    return " " * min(len(line) - len(line.lstrip(" ")), 24)


def visible(text: str) -> str:
    """The text on one line with its blanks as they are, and nothing in it that a terminal would obey."""
    return "".join(_shown(character) for character in _ESCAPE.sub("", text))


def _shown(character: str) -> str:
    if character in "\n\t\r\v\f\x85\u2028\u2029":
        return " "
    hidden = character in _BIDI or unicodedata.category(character) in ("Cc", "Cs")
    return "" if hidden else character


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The value as JSON can carry it anywhere: well-formed Unicode, finite numbers, bounded depth."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping | list | tuple) and depth == 0:
        return CUT
    if isinstance(value, Mapping):
        return {well_formed(str(key)): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value]
    return well_formed(value.isoformat() if isinstance(value, datetime) else str(value))


def well_formed(text: str) -> str:
    """The text with every lone surrogate replaced: JSON can spell one, UTF-8 and most databases cannot."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def notification_json(notification: Notification) -> dict[str, Any]:
    """Every field of a notification as plain JSON values, times in ISO 8601."""
    values = {name: _field(getattr(notification, name)) for name in (f.name for f in fields(Notification))}
    return {name: plain(value) for name, value in values.items()}


def _field(value: Any) -> Any:
    if isinstance(value, Provenance):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return value
