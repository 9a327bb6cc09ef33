"""Functions of Python's own on values: what they give, and when they raise. None where that is not understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trapline.detection.inference.operations import evaluated, some_text
from trapline.detection.inference.predicate import ANY_TEXT, Null, Test
from trapline.detection.inference.values import (
    Choice,
    Const,
    Field,
    Known,
    Row,
    Truth,
    Vague,
    Value,
    is_harmless,
    is_plain,
    when,
)


def is_instance(value: Value, types: Sequence[type | None]) -> Known | None:
    """`isinstance(value, types)`, for builtin types."""
    asked = tuple(each for each in types if each)
    match value:
        case Const(constant):
            return Known(Const(isinstance(constant, asked)))
        case Field(path=()):
            return Known(Const(object in asked))
        case Field() if asked == (str,):
            return Known(Truth(when(value, *ANY_TEXT), when(value, *ANY_TEXT, outcome="raises")))
        case Vague("text") if str in asked:
            return Known(Const(True))
        case _:
            return Known(some_text("plain")) if is_harmless(value) else None


def _str(value: Value) -> Known | None:
    """The text that a field is, or the one that is made of it."""
    match value:
        case Const(constant) if is_plain(constant):
            return evaluated(lambda: str(constant))
        case Field(path, default, fold="") if path and is_plain(default):
            is_text, is_none = Test(path, *ANY_TEXT), Test(path, *ANY_TEXT, outcome="raises")
            cases = ((is_text, value), (is_none, some_text()), (Null(path), Const(str(default))))
            return Known(Choice(cases))
        case Vague("text"):
            return Known(value)
        case Field(path) if value.fold and path:
            return Known(value)
        case _:
            return Known(some_text()) if is_harmless(value) else None


def _len(value: Value) -> Known | None:
    match value:
        case Const(constant):
            return evaluated(lambda: len(constant))
        case Row(items):
            return Known(Const(len(items)))
        case Field(path=()) | Vague("text" | "texts"):
            return Known(some_text("number"))
        case Field():  # what has a length can be asked whether a text is in it
            return Known(some_text("number"), when(value, "contains", "", outcome="raises"))
        case _:
            return None


def _made(kind: Callable[[Any], Any]) -> Callable[[Value], Known | None]:
    def make(value: Value) -> Known | None:
        match value:
            case Const(tuple() | list() | dict() as constants):
                return evaluated(lambda: kind(constants))
            case Const(set() | frozenset() as constants) if kind in (set, frozenset):
                return evaluated(lambda: kind(constants))
            case _:
                return None

    return make


BUILTINS: Mapping[str, Callable[[Value], Known | None]] = {
    "str": _str,
    "len": _len,
    **{kind.__name__: _made(kind) for kind in (tuple, list, set, frozenset)},
}
