"""Python's operators on values: what they give, and when they raise. None where that is not understood."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from trapline.detection.inference.predicate import FALSE, TRUE, Test, every, some
from trapline.detection.inference.values import (
    ROOT,
    Const,
    Field,
    Gap,
    Kind,
    Known,
    Row,
    Truth,
    Vague,
    Value,
    chosen,
    is_plain,
    tested,
    when,
)

UNKNOWN = object()
"""What a dict of constants has for a key whose value is none."""


def some_text(kind: Kind = "text") -> Vague:
    """A value of which only the kind is known; whoever asked for it says where it stands."""
    return Vague(kind, Gap(0, ""))


# Comparisons


def compared(op: ast.cmpop, left: Value, right: Value) -> Known | None:
    """`left op right`."""
    match left, right:
        case Field(path=()), Const(None):
            return _oriented(op, Known(Truth(FALSE, TRUE)))  # a record is not None
        case Const(one), Const(two):
            return _constants_compared(op, one, two)
        case _, Row(items) if isinstance(op, ast.In | ast.NotIn):
            return _among(op, left, items)
        case Field(), Const(options) if isinstance(op, ast.In | ast.NotIn) and left.path:
            return _oriented(op, member(left, options))
        case Const(part), Field() if isinstance(op, ast.In | ast.NotIn) and right.path:
            return _oriented(op, tested(right, "contains", part)) if is_plain(part) else None
        case Field(), Const(constant) if left.path:
            return _field_compared(op, left, constant)
        case Const(constant), Field() if right.path and (mirrored := _MIRRORED.get(type(op))):
            return _field_compared(mirrored, right, constant)
        case Truth(), Const(constant):
            return _truth_compared(op, left, constant)
        case _ if _is_vague(op, left, right):
            return Known(some_text("plain"))
    return None


def member(field: Field, options: Any) -> Known | None:
    """`field in options`."""
    if not isinstance(options, tuple | list | set | frozenset | dict) or not all(map(is_plain, options)):
        return None
    hashed = not isinstance(options, tuple | list)
    known = tested(field, "in", tuple(sorted(options, key=repr) if hashed else options))
    return replace(known, raises=when(field, "hash", outcome="raises")) if hashed else known


def _among(op: ast.cmpop, value: Value, items: tuple[Value, ...]) -> Known | None:
    found = [compared(ast.Eq(), value, each) for each in items]
    truths = [known.value for known in found if known and isinstance(known.value, Truth)]
    if len(truths) < len(items):
        return None
    is_in = Truth(some(*(each.true for each in truths)), every(*(each.false for each in truths)))
    return _oriented(op, Known(is_in))


def _field_compared(op: ast.cmpop, field: Field, constant: Any) -> Known | None:
    if isinstance(op, ast.Is | ast.IsNot):
        if type(constant) is bool:
            return _oriented(op, tested(field, "is", constant))
        return _oriented(op, tested(field, "eq", None)) if constant is None else None
    name = _COMPARISONS.get(type(op))
    return _oriented(op, tested(field, name, constant)) if name and is_plain(constant) else None


def _truth_compared(op: ast.cmpop, truth: Truth, constant: Any) -> Known | None:
    if not isinstance(op, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
        return None
    turned = Truth(truth.false, truth.true)
    if constant is None:  # a match is None where it is false, and a bool never
        return _oriented(op, Known(Truth(FALSE, TRUE) if truth.groups is None else turned))
    if type(constant) is bool and truth.groups is None:
        return _oriented(op, Known(Truth(truth.true, truth.false) if constant else turned))
    return None


def _oriented(op: ast.cmpop, known: Known | None) -> Known | None:
    """What is known of `==`, `is` or `in`, for the operator or its opposite."""
    if known is None or not isinstance(known.value, Truth) or not isinstance(op, ast.NotEq | ast.IsNot | ast.NotIn):
        return known
    return replace(known, value=Truth(known.value.false, known.value.true))


def _constants_compared(op: ast.cmpop, left: Any, right: Any) -> Known | None:
    if isinstance(op, ast.Is | ast.IsNot) and not any(
        each is one for one in (None, True, False) for each in (left, right)
    ):
        return None
    if isinstance(op, ast.Eq | ast.NotEq) and isinstance(left, dict) and isinstance(right, dict):
        return None  # what one of them holds may be UNKNOWN
    return evaluated(lambda: _ON_CONSTANTS[type(op)](left, right))


def _is_vague(op: ast.cmpop, left: Value, right: Value) -> bool:
    """Whether a comparison does no harm, for what is known of the kinds."""
    if isinstance(op, ast.In | ast.NotIn):
        if isinstance(left, Vague) and left.kind in ("text", "number") and isinstance(right, Const):
            return isinstance(right.value, tuple | list | set | frozenset | dict) or (
                left.kind == "text" and isinstance(right.value, str)
            )
        return _is(left, "text") and isinstance(right, Vague) and right.kind in ("text", "texts")
    if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
        return any(_is(left, kind) and _is(right, kind) for kind in ("text", "number"))
    return False


def _is(value: Value, kind: str) -> bool:
    if isinstance(value, Const):
        return type(value.value) is str if kind == "text" else type(value.value) in (int, float, bool)
    return isinstance(value, Vague) and value.kind == kind


# Looking into something


def item(holder: Value, key: Value) -> Known | None:
    """`holder[key]`."""
    match holder, key:
        case Field(fold=""), Const(str() as name) if holds_nothing(holder):
            no_column = Test(ROOT, "item", name, outcome="raises")
            raises = when(holder, "item", name, outcome="raises") if holder.path else no_column
            return Known(Field((*holder.path, name)), raises)
        case Const(tuple() | list() | str() | dict() as constants), Const(index):
            return evaluated(lambda: constants[index])
        case Const(dict() as constants), Field() if key.path:
            return looked_up(constants, key)
        case Row(items), Const(int() as index) if -len(items) <= index < len(items):
            return Known(items[index])
        case Vague("texts"), Const(0 | -1):
            return Known(some_text())
    return None


def holds_nothing(field: Field) -> bool:
    """Whether nothing can be found in its default."""
    return not isinstance(field.default, dict) or not field.default


def part(holder: Value, ends: tuple[Value, ...]) -> Known | None:
    """`holder[a:b:c]`, for whole numbers or none."""
    if not all(isinstance(end, Const) and type(end.value) in (int, type(None)) for end in ends):
        return None
    numbers = [end.value for end in ends if isinstance(end, Const)]
    if len(numbers) == 3 and numbers[2] == 0:
        return None
    match holder:
        case Const(str() | tuple() | list() as constant):
            return evaluated(lambda: constant[slice(*numbers)])
        case Field() if holder.path:
            return Known(some_text(), when(holder, "text", outcome="raises"))
        case Vague("text"):
            return Known(holder)
    return None


def looked_up(constants: Mapping[Any, Any], key: Field, default: Value | None = None) -> Known | None:
    """`constants[key]`, or `constants.get(key, default)`: each key where the field is equal to it."""
    if not all(map(is_plain, constants)) or not all(map(_is_immutable, constants.values())):
        return None
    by_value: dict[tuple[type, Any], list[Any]] = {}
    for each, value in constants.items():
        by_value.setdefault((type(value), value), []).append(each)
    cases: list[tuple[Any, Value]] = [
        (when(key, "eq", keys[0]) if len(keys) == 1 else when(key, "in", tuple(keys)), Const(value))
        for (_, value), keys in by_value.items()
    ]
    raises = when(key, "hash", outcome="raises")
    elsewhere = when(key, "in", tuple(constants), outcome="false")
    if default is None:
        return Known(chosen(cases), some(raises, elsewhere))
    return Known(chosen([*cases, (elsewhere, default)]), raises)


def _is_immutable(value: Any) -> bool:
    return is_plain(value) or (isinstance(value, tuple) and all(map(is_plain, value)))


# Arithmetic


def added(op: ast.operator, left: Value, right: Value) -> Known | None:
    """`left op right`: counting, and putting texts and constants together."""
    operation = _ARITHMETIC.get(type(op))
    if operation is None:
        return None
    match left, right:
        case Const(one), Const(two):
            return evaluated(lambda: operation(one, two)) if _is_small(op, one, two) else None
        case Const(str()), Field() if isinstance(op, ast.Add) and right.path:
            return Known(some_text(), when(right, "text", outcome="raises"))
        case Field(), Const(str()) if isinstance(op, ast.Add) and left.path:
            return Known(some_text(), when(left, "text", outcome="raises"))
        case _ if isinstance(op, ast.Add) and _is(left, "text") and _is(right, "text"):
            return Known(some_text())
        case _ if isinstance(op, ast.Add | ast.Sub) and _is(left, "number") and _is(right, "number"):
            return Known(some_text("number"))
    return None


def _is_small(op: ast.operator, one: Any, two: Any) -> bool:
    if all(isinstance(each, re.RegexFlag) for each in (one, two)):
        return isinstance(op, ast.BitOr)
    if all(type(each) in (int, bool) for each in (one, two)):
        return bool(abs(one) < 2**31 and abs(two) < 2**31)
    if isinstance(op, ast.Add):
        alike = type(one) is type(two) and type(one) in (str, tuple, list)
        return bool(alike and len(one) + len(two) < 10_000)
    return isinstance(op, ast.BitOr | ast.Sub) and all(isinstance(each, set | frozenset) for each in (one, two))


def evaluated(of: Callable[[], Any]) -> Known | None:
    """What a harmless operation on constants gives; None where it raises, or gives what is not known."""
    try:
        found = of()
    except Exception:  # whatever the types say to an operation that they do not know
        return None
    return None if found is UNKNOWN else Known(Const(found))


_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "eq",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}
_MIRRORED: Mapping[type[ast.cmpop], ast.cmpop] = {
    ast.Eq: ast.Eq(),
    ast.NotEq: ast.NotEq(),
    ast.Is: ast.Is(),
    ast.IsNot: ast.IsNot(),
    ast.Lt: ast.Gt(),
    ast.LtE: ast.GtE(),
    ast.Gt: ast.Lt(),
    ast.GtE: ast.LtE(),
}
_ON_CONSTANTS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, of: item in of,
    ast.NotIn: lambda item, of: item not in of,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.BitOr: operator.or_,
}
