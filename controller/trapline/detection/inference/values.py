"""What an expression of a rule can be known to be; whatever is none of these may be anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trapline.detection.inference.predicate import FALSE, Fold, Null, Outcome, Path, Predicate, Test, comes_out, some

ROOT: Path = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a rule that was not understood. A record for which a rule gets there may match."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Const:
    """A constant: a plain value, a tuple, a frozen set or a compiled pattern. A list, set or dict that is `written` in
    an expression is looked into as a constant is, but it could be changed once it had a name."""

    value: Any
    written: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """What a record has at a path, folded if it is text; `default` where it has nothing there."""

    path: Path
    default: Any = None
    fold: Fold = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """A value of which only this is known: when it may be true, and when it may be false."""

    true: Predicate
    false: Predicate


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
class Opaque:
    """Something that was not understood, but to have it does no harm."""

    gap: Gap


Value = Const | Field | Truth | Choice | Settled | Opaque


@dataclass(frozen=True, slots=True)
class Known:
    """What an operation gives, and when it may raise instead."""

    value: Value
    raises: Predicate = FALSE


def is_written(value: Value) -> bool:
    """Whether it may be a list, set or dict that could be changed by another name."""
    match value:
        case Const(_, written):
            return written
        case Choice(cases):
            return any(is_written(each) for _, each in cases)
        case Settled(inner, _):
            return is_written(inner)
        case _:
            return False


def when(field: Field, op: str, constant: Any = None, *, outcome: Outcome = "true") -> Predicate:
    """When an operation on a field comes out so: on what is there, or on the default where nothing is."""
    # a pattern is not tried on a text that somebody wrote: that may take for ever
    either = op == "match" and bool(field.default)
    same = either or comes_out(op, field.default, constant, field.fold) == outcome
    nothing = Null(field.path) if same else FALSE
    if (op, constant, outcome) == ("eq", None, "true"):
        return nothing  # what is there is not None
    return some(Test(field.path, op, constant, field.fold, outcome), nothing)


def tested(field: Field, op: str, constant: Any = None) -> Known:
    """The outcome of an operation on a field as a truth."""
    truth = Truth(when(field, op, constant), when(field, op, constant, outcome="false"))
    return Known(truth, FALSE if op in _NEVER_RAISE else when(field, op, constant, outcome="raises"))


_NEVER_RAISE = frozenset({"truthy", "eq", "in"})
