"""Python's regular expressions in words that mean the same to RE2 (DuckDB) and Joni (Athena), for plain text.

Plain text is printable ASCII. There the three agree on all that is written here; beyond it they do not, in letters'
case, in what a digit is, in where lines end. So a pattern is read by Python's own parser and written anew, from few
parts that are surely the same. Whoever asks has to let values through that are not plain.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from re import _constants as c  # type: ignore[attr-defined]  # no other parser reads Python's patterns as Python does
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from trapline.detection.inference.predicate import Regex

NOT_PLAIN = "[^ -~]"
"""What matches in text that is not plain."""

_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE | re.VERBOSE | re.UNICODE | re.ASCII
_MOST_STEPS = 1_000  # with its repeats written out, as RE2 does: its limit for these, inside one another, too
_CLASSES = {
    c.CATEGORY_DIGIT: r"\d",
    c.CATEGORY_NOT_DIGIT: r"\D",
    c.CATEGORY_SPACE: r"\s",
    c.CATEGORY_NOT_SPACE: r"\S",
    c.CATEGORY_WORD: r"\w",
    c.CATEGORY_NOT_WORD: r"\W",
}
_PLACES = {
    c.AT_BEGINNING: "^",  # without line ends, `^` and `$` are the ends of the text to everyone
    c.AT_BEGINNING_STRING: "^",
    c.AT_END: "$",
    c.AT_END_STRING: "$",
    c.AT_BOUNDARY: r"\b",
}


class NotTheSame(Exception):
    """A part of the pattern that engines read in other ways, or not at all."""


@lru_cache(maxsize=4096)
def translated(regex: Regex) -> str:
    """A pattern to be searched for in plain text. Raises NotTheSame."""
    if regex.flags & ~_FLAGS:
        raise NotTheSame("flags that only Python has")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(regex.pattern, regex.flags)
            parsed = _parser.parse(regex.pattern, regex.flags)
    except Exception as error:
        raise NotTheSame(f"Python cannot read it: {error}") from error
    if parsed.state.flags & ~_FLAGS:
        raise NotTheSame("flags that only Python has")
    ignore_case = bool(parsed.state.flags & re.IGNORECASE)
    if _steps(parsed) > _MOST_STEPS:
        raise NotTheSame("a pattern so large that engines refuse it")
    body = _sequence(parsed, ignore_case)
    if regex.how != "search":
        ends = "$" if regex.how == "fullmatch" else ""
        body = f"^{body}{ends}"
    return f"(?i){body}" if ignore_case else body


def _sequence(items: Iterable[tuple[Any, Any]], ignore_case: bool) -> str:
    return "".join(_item(kind, value, ignore_case) for kind, value in items)


def _item(kind: Any, value: Any, ignore_case: bool) -> str:
    if kind is c.LITERAL:
        return _literal(value)
    if kind is c.NOT_LITERAL:
        return f"[^{_in_class(value)}]"
    if kind is c.ANY:
        return "."
    if kind is c.IN:
        return _class(value, ignore_case)
    if kind is c.AT and value in _PLACES:
        return _PLACES[value]
    if kind is c.BRANCH:
        return _group("|".join(_sequence(branch, ignore_case) for branch in value[1]))
    if kind is c.SUBPATTERN:
        _number, added, taken, inside = value
        if added or taken:
            raise NotTheSame("flags for a part of the pattern")
        return _unit(inside, ignore_case)
    if kind in (c.MAX_REPEAT, c.MIN_REPEAT):  # whether there is a match does not depend on which is tried first
        return _repeat(value[0], value[1], value[2], ignore_case)
    raise NotTheSame(str(kind).lower())


def _repeat(low: int, high: Any, inside: Any, ignore_case: bool) -> str:
    if inside.getwidth()[0] == 0:
        raise NotTheSame("a repeat of what may be empty")
    body = _unit(inside, ignore_case)
    if high is c.MAXREPEAT:
        return body + {0: "*", 1: "+"}.get(low, f"{{{low},}}")
    return body + ("?" if (low, high) == (0, 1) else f"{{{low}}}" if low == high else f"{{{low},{high}}}")


def _unit(items: Any, ignore_case: bool) -> str:
    """Items as a part that stands as one; what a single group holds is one already."""
    body = _sequence(items, ignore_case)
    return body if len(items) == 1 and items[0][0] in (c.BRANCH, c.SUBPATTERN) else _group(body)


def _group(body: str) -> str:
    """A part that stands as one: a letter, an escaped one or a set as they are."""
    return body if re.fullmatch(r"[^|\\]|\\\W|\\[dDsSwW]|\[\^?(?:[^\[\]\\]|\\.)*\]", body) else f"(?:{body})"


def _class(members: Iterable[tuple[Any, Any]], ignore_case: bool) -> str:
    """A set of characters, of which only the ASCII ones matter."""
    parts, negated = [], ""
    for kind, value in members:
        if kind is c.NEGATE:
            negated = "^"
        elif kind is c.CATEGORY and value in _CLASSES:
            parts.append(_CLASSES[value])
        elif kind in (c.LITERAL, c.RANGE):
            low, high = (value, value) if kind is c.LITERAL else value
            if high > 127 and ignore_case:
                raise NotTheSame("letters beyond ASCII where case is ignored")
            if low < 128:
                last = min(high, 127)
                parts.append(_in_class(low) if low == last else f"{_in_class(low)}-{_in_class(last)}")
        else:
            raise NotTheSame(str(kind).lower())
    if not parts:
        raise NotTheSame("a set without ASCII characters")
    return (
        parts[0]
        if parts[0] in _CLASSES.values() and not negated and len(parts) == 1
        else f"[{negated}{''.join(parts)}]"
    )


def _literal(code: int) -> str:
    if code > 127:
        raise NotTheSame("letters beyond ASCII")
    return "\\" + chr(code) if chr(code) in r"\.+*?()|[]{}^$" else _printable(code)


def _in_class(code: int) -> str:
    if code > 127:
        raise NotTheSame("letters beyond ASCII")
    return "\\" + chr(code) if chr(code) in r"\[]^-&~" else _printable(code)


def _printable(code: int) -> str:
    return chr(code) if 32 <= code < 127 else f"\\x{code:02x}"


def _steps(items: Any) -> int:
    """How long the pattern is once its repeats are written out."""
    total = 0
    for kind, value in items:
        if kind in (c.MAX_REPEAT, c.MIN_REPEAT):
            low, high, inside = value
            total += _steps(inside) * max(1, low, 0 if high is c.MAXREPEAT else high)
        elif kind is c.BRANCH:
            total += sum(map(_steps, value[1]))
        elif kind is c.SUBPATTERN:
            total += _steps(value[3])
        else:
            total += 1
    return total
