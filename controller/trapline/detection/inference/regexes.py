"""Regular expressions that a rule writes down: which can be read, and what is plain to see of them."""

from __future__ import annotations

import re
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]  # as the `re` of Python 3.11 and later has it
from typing import Any

from trapline.detection.inference.predicate import How, Regex

FLAGS = re.ASCII | re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.UNICODE
LONGEST = 10_000
MOST_LETTERS = 300_000
"""Of each letter in a class, Python looks for the other case: that takes a second for a million of them."""


def regex_of(pattern: Any, how: How, flags: int) -> Regex | None:
    """`pattern` is the text of one, or a compiled one."""
    if isinstance(pattern, re.Pattern):
        flags = int(pattern.flags & ~re.UNICODE)
        return Regex(pattern.pattern, how, flags) if isinstance(pattern.pattern, str) else None
    return Regex(pattern, how, flags) if isinstance(pattern, str) and compiled(pattern, flags) else None


@lru_cache(maxsize=1_000)
def compiled(pattern: str, flags: int = 0) -> re.Pattern[str] | None:
    """None where it cannot be read, or its flags do more than say what it means."""
    if len(pattern) > LONGEST or flags & ~FLAGS:
        return None
    try:
        wide = _letters(_parser.parse(pattern, flags)) > MOST_LETTERS
        return None if wide else re.compile(pattern, flags)
    except (re.error, RecursionError, OverflowError, ValueError):
        return None


def _letters(parsed: Any) -> int:
    """How many letters there are in the classes of a pattern."""
    match parsed:
        case (op, (int() as first, int() as last)) if op is _parser.RANGE:
            return last - first
        case tuple() | list() | _parser.SubPattern():
            return sum(map(_letters, parsed))
        case _:
            return 0


def groups_of(regex: Regex) -> int:
    """How many groups it has."""
    found = compiled(regex.pattern, regex.flags)
    return found.groups if found else 0


def matches_nothing(regex: Regex) -> bool:
    """Whether it surely does not match the empty text, without trying it."""
    shortest: int = _parser.parse(regex.pattern, regex.flags).getwidth()[0]
    return shortest > 0
