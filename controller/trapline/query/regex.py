"""Python's regular expressions in words that mean the same to RE2 (DuckDB) and Joni (Athena), for ASCII text.

Beyond ASCII the three do not agree, in letters' case or in what a digit is. So a pattern is read by Python's own parser
and written anew, from few parts that are surely the same. Whoever asks has to let values through that are not ASCII.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as c  # type: ignore[attr-defined]  # no other parser reads Python's patterns as Python does
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from trapline.detection.inference.predicate import Regex

_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE | re.VERBOSE | re.UNICODE | re.ASCII
_MOST_STEPS = 1_000  # with its repeats written out, as RE2 does: its limit for these, inside one another, too
_CLASSES = {
    c.CATEGORY_DIGIT: r"\d",
    c.CATEGORY_NOT_DIGIT: r"\D",
    c.CATEGORY_WORD: r"\w",
    c.CATEGORY_NOT_WORD: r"\W",
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
    if _steps(parsed) > _MOST_STEPS:
        raise NotTheSame("a pattern so large that engines refuse it")
    writer = _Writer(parsed.state.flags, regex.how)
    begin, end = "" if regex.how == "search" else "^", r"\z" if regex.how == "fullmatch" else ""
    return f"{'(?i)' if writer.ignores_case else ''}{begin}{writer.sequence(parsed, last=True)}{end}"


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes what Python's parser read. `last` is whether nothing of the pattern comes after an item."""

    flags: int
    how: str

    @property
    def ignores_case(self) -> bool:
        return bool(self.flags & re.IGNORECASE)

    def sequence(self, items: Any, *, last: bool) -> str:
        final = len(items) - 1
        return "".join(self._item(kind, value, last and at == final) for at, (kind, value) in enumerate(items))

    def _item(self, kind: Any, value: Any, last: bool) -> str:
        if kind is c.LITERAL:
            return _letter(value, r"\.+*?()|[]{}^$")
        if kind is c.NOT_LITERAL:
            return self._set([(c.NEGATE, None), (c.LITERAL, value)])
        if kind is c.ANY:
            return "(?s:.)" if self.flags & re.DOTALL else r"[^\n]"
        if kind is c.IN:
            return self._set(value)
        if kind is c.AT:
            return self._place(value, last)
        if kind is c.BRANCH:
            return f"(?:{'|'.join(self.sequence(branch, last=last) for branch in value[1])})"
        if kind is c.SUBPATTERN:
            _number, added, taken, inside = value
            if added or taken:
                raise NotTheSame("flags for a part of the pattern")
            return self._unit(inside, last)
        if kind in (c.MAX_REPEAT, c.MIN_REPEAT):  # whether there is a match does not depend on which is tried first
            return self._repeat(*value)
        raise NotTheSame(str(kind).lower())

    def _place(self, where: Any, last: bool) -> str:
        if where is c.AT_BOUNDARY:
            return r"\b"
        if where is c.AT_END_STRING:
            return r"\z"
        if where is c.AT_BEGINNING_STRING or (where is c.AT_BEGINNING and not self.flags & re.MULTILINE):
            return "^"
        if where is c.AT_END and last and not self.flags & re.MULTILINE:
            return r"\z" if self.how == "fullmatch" else r"\n?\z"  # to Python, a text also ends before its last \n
        raise NotTheSame(str(where).lower())

    def _repeat(self, low: int, high: Any, inside: Any) -> str:
        if inside.getwidth()[0] == 0:
            raise NotTheSame("a repeat of what may be empty")
        body = self._unit(inside, False)
        if high is c.MAXREPEAT:
            return body + {0: "*", 1: "+"}.get(low, f"{{{low},}}")
        return body + ("?" if (low, high) == (0, 1) else f"{{{low}}}" if low == high else f"{{{low},{high}}}")

    def _unit(self, items: Any, last: bool) -> str:
        """Items as a part that stands as one."""
        body = self.sequence(items, last=last)
        return body if len(items) == 1 and items[0][0] in _UNITS else f"(?:{body})"

    def _set(self, members: Iterable[tuple[Any, Any]]) -> str:
        """A set of characters, of which only the ASCII ones matter."""
        parts, negated = [], ""
        for kind, value in members:
            if kind is c.NEGATE:
                negated = "^"
            elif kind is c.CATEGORY:
                parts.append(self._category(value))
            elif kind in (c.LITERAL, c.RANGE):
                low, high = (value, value) if kind is c.LITERAL else value
                if high > 127 and self.ignores_case:
                    raise NotTheSame("letters beyond ASCII where case is ignored")
                if low < 128:
                    ends = dict.fromkeys((low, min(high, 127)))
                    parts.append("-".join(_letter(end, r"\[]^-&~") for end in ends))
            else:
                raise NotTheSame(str(kind).lower())
        if not parts:
            raise NotTheSame("a set without ASCII characters")
        alone = len(parts) == 1 and not negated and parts[0] in _CLASSES.values()
        return parts[0] if alone else f"[{negated}{''.join(parts)}]"

    def _category(self, category: Any) -> str:
        separators = "" if self.flags & re.ASCII else r"\x1c-\x1f"  # white space to Python alone
        if category is c.CATEGORY_SPACE:
            return rf"\x09-\x0d{separators} "
        if category is c.CATEGORY_NOT_SPACE:
            return r"\x00-\x08\x0e-\x1b!-\x7f" + (r"\x1c-\x1f" if not separators else "")
        return _CLASSES[category]


_UNITS = (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN, c.BRANCH, c.SUBPATTERN)


def _letter(code: int, signs: str) -> str:
    """A letter, escaped where it is one of the signs."""
    if code > 127:
        raise NotTheSame("letters beyond ASCII")
    letter = chr(code)
    return f"\\{letter}" if letter in signs else letter if 32 <= code < 127 else f"\\x{code:02x}"


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
