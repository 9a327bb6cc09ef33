"""What an expression of a rule can be known to be; whatever is none of these may be anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from trapline.detection.inference.predicate import (
    ANY_TEXT,
    FALSE,
    NEVER_RAISE,
    Fold,
    Null,
    Outcome,
    Path,
    Predicate,
    Test,
    comes_out,
    some,
)
from trapline.detection.inference.regexes import matches_nothing

ROOT: Path = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a rule that was not understood. A record for which a rule gets there may match."""

    line: int
    reason: str
    file: str = ""
    """The module that it is in, by its path in the detection; empty for the script."""

    def place(self, script: str) -> str:
        """Such as `detect.py:12`."""
        return f"{self.file or script}:{self.line}"


@dataclass(frozen=True, slots=True)
class Const:
    """A constant: a plain value, a compiled pattern, or a tuple, list, set or dict of constants that do not change. A
    list, set or dict is known only while nothing but this expression can get at it."""

    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """What a record has at a path, folded if it is text; `default` where it has nothing there."""

    path: Path
    default: Any = None
    fold: Fold = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """A bool of which this is known: when it may be true, and when it may be false.

    Or, with `groups`, a match of a pattern with so many groups, and None where it is false.
    """

    true: Predicate
    false: Predicate
    groups: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values, each where its condition may hold; `truth` says the same of its truth, shorter."""

    cases: tuple[tuple[Predicate, Value], ...]
    truth: Truth | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A value of which it is known that it is true, or false."""

    value: Value
    is_true: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A tuple, or a list, of these values."""

    items: tuple[Value, ...]
    is_list: bool = False


Kind = Literal["text", "texts", "number", "plain"]


@dataclass(frozen=True, slots=True)
class Vague:
    """A value of a kind, of which no more is known: a text, a list of one text or more, a number, or anything plain,
    which does no harm when it is compared, printed, or asked whether it is true."""

    kind: Kind
    gap: Gap


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a name of the module or of Python stands for. To have it does no harm, but whatever is done with it may."""

    gap: Gap
    module: str = ""
    """The module that it is, if it is known to be one."""


@dataclass(frozen=True, slots=True)
class Unbound:
    """No value: to read the name raises."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What comes of something that was not understood. The predicate holds already wherever this is had."""


Value = Const | Field | Truth | Choice | Settled | Row | Vague | Foreign | Unbound | Lost
LOST, UNBOUND = Lost(), Unbound()


@dataclass(frozen=True, slots=True)
class Known:
    """What an operation gives, when it may raise instead, and, where that is only roughly told, the reason."""

    value: Value
    raises: Predicate = FALSE
    roughly: str = ""


def chosen(cases: Iterable[tuple[Predicate, Value]]) -> Value:
    """One of several values; the cases of one constant are put together, or counting would double them every time."""
    flat = [(where, value) for where, value in cases if where != FALSE]
    if len(flat) == 1:
        return flat[0][1]
    constants: dict[tuple[type, Any], list[Predicate]] = {}
    for where, value in flat:
        if not isinstance(value, Const) or not is_plain(value.value):
            return Choice(tuple(flat))
        constants.setdefault((type(value.value), value.value), []).append(where)
    return Choice(tuple((some(*wheres), Const(value)) for (_, value), wheres in constants.items()))


def is_plain(value: Any) -> bool:
    """Whether a constant is one that engines have too, and that equals nothing but its like."""
    return value is None or type(value) in (str, int, bool) or (type(value) is float and abs(value) < float("inf"))


def is_mutable(value: Value) -> bool:
    """Whether it may be a list, set or dict that somebody else could change."""
    match value:
        case Const(constant):
            return isinstance(constant, list | set | dict)
        case Row(items, is_list):
            return is_list or any(map(is_mutable, items))
        case Choice(cases):
            return any(is_mutable(each) for _, each in cases)
        case Settled(inner, _):
            return is_mutable(inner)
        case _:
            return False


def is_harmless(value: Value) -> bool:
    """Whether nothing can happen when it is compared for equality or made a text."""
    match value:
        case Row(items):
            return all(map(is_harmless, items))
        case Choice(cases):
            return all(is_harmless(each) for _, each in cases)
        case Settled(inner, _):
            return is_harmless(inner)
        case _:
            return isinstance(value, Const | Field | Truth | Vague)


def when(field: Field, op: str, constant: Any = None, *, outcome: Outcome = "true") -> Predicate:
    """When an operation on a field comes out so: on what is there, or on the default where nothing is."""
    if outcome == "raises" and _needs_text(field, op, constant):
        op, constant = ANY_TEXT
    nothing = Null(field.path) if _comes_out(field, op, constant, outcome) else FALSE
    if (op, constant, outcome) == ("eq", None, "true"):
        return nothing  # what is there is not None
    return some(Test(field.path, op, constant, field.fold, outcome), nothing)


def _needs_text(field: Field, op: str, constant: Any) -> bool:
    """Whether an operation raises for all but texts, and for no text."""
    if op == "contains":
        return bool(field.fold) and isinstance(constant, str)
    return op in ("startswith", "endswith", "match", "text") and constant != ()


def _comes_out(field: Field, op: str, constant: Any, outcome: Outcome) -> bool:
    """Whether an operation on a field's default may come out so."""
    if op == "match" and isinstance(field.default, str):
        return outcome in tried(constant, field.default)
    return comes_out(op, field.default, constant, field.fold) == outcome


def tried(regex: Any, text: str) -> tuple[Outcome, ...]:
    """How a pattern may come out on a text that somebody wrote. It is not tried: that might take for ever."""
    return ("false",) if not text and matches_nothing(regex) else ("true", "false")


def tested(field: Field, op: str, constant: Any = None, *, groups: int | None = None) -> Known:
    """The outcome of an operation on a field as a truth."""
    truth = Truth(when(field, op, constant), when(field, op, constant, outcome="false"), groups)
    raises = FALSE if op in NEVER_RAISE else when(field, op, constant, outcome="raises")
    either = op == "match" and isinstance(field.default, str) and len(tried(constant, field.default)) > 1
    return Known(truth, raises, "a pattern is not tried on a default" if either else "")
