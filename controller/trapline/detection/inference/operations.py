"""Operations of Python's on values: what they give, and when they raise. None where that is not understood."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trapline.detection.inference.predicate import TRUE, How, Path, Regex, Test
from trapline.detection.inference.values import ROOT, Const, Field, Gap, Known, Opaque, Truth, Value, tested, when

SOMETHING = Opaque(Gap(0, ""))
"""A plain value of which nothing is known."""

_SEARCHES: Mapping[str, How] = {"match": "match", "search": "search", "fullmatch": "fullmatch"}
_TEXT_METHODS = frozenset({"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "title", "casefold"})
_OF_TEXT = ("lower", "upper", "startswith", "endswith", "strip", "lstrip", "rstrip")


def compared(op: ast.cmpop, left: Value, right: Value) -> Known | None:
    """`left op right`."""
    if isinstance(left, Const) and isinstance(right, Const):
        return _constants_compared(op, left, right)
    if isinstance(left, Field) and left.path and isinstance(right, Const):
        if isinstance(op, ast.In | ast.NotIn):
            return _oriented(op, _member(left, right.value))
        return _field_compared(op, left, right)
    if isinstance(left, Const) and isinstance(right, Field) and right.path:
        if isinstance(op, ast.In | ast.NotIn):
            return _oriented(op, tested(right, "contains", left.value)) if is_plain(left.value) else None
        mirrored = _MIRRORED.get(type(op))
        return _field_compared(mirrored, right, left) if mirrored else None
    return None


def _member(field: Field, options: Any) -> Known | None:
    if not isinstance(options, tuple | frozenset) or not all(map(is_plain, options)):
        return None
    known = tested(field, "in", tuple(sorted(options, key=repr) if isinstance(options, frozenset) else options))
    # to look for something in a set, Python takes its hash
    return Known(known.value, when(field, "hash", outcome="raises")) if isinstance(options, frozenset) else known


def _field_compared(op: ast.cmpop, field: Field, constant: Const) -> Known | None:
    name = _COMPARISONS.get(type(op))
    if isinstance(op, ast.Is | ast.IsNot) and type(constant.value) is bool:
        # the record's True is the one True, but 1 is equal to it and another
        is_it = Truth(when(field, "eq", constant.value), TRUE)
        return _oriented(op, Known(is_it))
    if isinstance(op, ast.Is | ast.IsNot) and constant.value is not None:
        return None
    if name is None or constant.written or not is_plain(constant.value):
        return None
    return _oriented(op, tested(field, name, constant.value))


def _oriented(op: ast.cmpop, known: Known | None) -> Known | None:
    if known is None or not isinstance(known.value, Truth) or not isinstance(op, ast.NotEq | ast.IsNot | ast.NotIn):
        return known
    return replace(known, value=Truth(known.value.false, known.value.true))


def _constants_compared(op: ast.cmpop, left: Const, right: Const) -> Known | None:
    operation = _ON_CONSTANTS.get(type(op))
    if operation is None or left.written or (right.written and not isinstance(op, ast.In | ast.NotIn)):
        return None
    if isinstance(op, ast.Is | ast.IsNot) and None not in (left.value, right.value):
        return None
    return evaluated(lambda: operation(left.value, right.value))


def item(holder: Value, key: Value) -> Known | None:
    """`holder[key]`."""
    if not isinstance(key, Const):
        return None
    if isinstance(holder, Field) and isinstance(key.value, str) and not holder.fold:
        no_column = Test(ROOT, "item", key.value, outcome="raises")
        raises = when(holder, "item", key.value, outcome="raises") if holder.path else no_column
        return Known(Field((*holder.path, key.value)), raises)
    if isinstance(holder, Const) and isinstance(holder.value, tuple | str) and not holder.written:
        return evaluated(lambda: holder.value[key.value])
    return None


def method(holder: Value, name: str, arguments: Sequence[Value], named: Mapping[str, Value]) -> Known | None:
    """`holder.name(*arguments, **named)`."""
    constants = [each.value for each in arguments if isinstance(each, Const)]
    if isinstance(holder, Const) and isinstance(holder.value, re.Pattern):
        return searched(name, [Const(holder.value), *arguments], named)
    if len(constants) != len(arguments) or not all(isinstance(each, Const) for each in named.values()):
        return None
    if isinstance(holder, Const) and holder.value == {} and name == "get" and len(constants) in (1, 2) and not named:
        return Known(Const(constants[1] if len(constants) == 2 else None))
    if isinstance(holder, Const):
        is_text = isinstance(holder.value, str) and name in _OF_TEXT and not named
        return evaluated(lambda: getattr(holder.value, name)(*constants)) if is_text else None
    if not isinstance(holder, Field):
        return None
    if name in ("get", "deepget"):
        given = {key: each.value for key, each in named.items() if isinstance(each, Const)}
        return _looked_up(holder, name, constants, given)
    return None if named or not holder.path else _text_method(holder, name, constants)


def _looked_up(holder: Field, name: str, constants: Sequence[Any], named: Mapping[str, Any]) -> Known | None:
    if holder.fold or len(constants) not in (1, 2) or set(named) - {"default"} or (named and len(constants) == 2):
        return None
    default = constants[1] if len(constants) == 2 else named.get("default")
    steps = _steps(constants[0], dotted=name == "deepget")
    if steps is None:
        return None
    found = Field((*holder.path, *steps), default)
    return Known(found) if not holder.path else Known(found, when(holder, name, constants[0], outcome="raises"))


def _steps(path: Any, *, dotted: bool) -> Path | None:
    if isinstance(path, str):
        return tuple(path.split(".")) if dotted else (path,)
    plain = dotted and isinstance(path, tuple) and all(isinstance(part, str) for part in path)
    return path if plain and path else None


def _text_method(field: Field, name: str, constants: list[Any]) -> Known | None:
    match name, constants:
        case ("lower" | "upper") as fold, [] if field.fold in ("", fold):
            folded = replace(field, fold=fold)
            return Known(folded, when(folded, "truthy", outcome="raises"))
        case (("startswith" | "endswith"), [affix]):
            affixes = affix if isinstance(affix, tuple) else (affix,)
            return tested(field, name, affixes) if all(isinstance(each, str) for each in affixes) else None
        case _, [] | [str()] if name in _TEXT_METHODS and constants != [""]:
            return Known(SOMETHING, when(field, "text", outcome="raises"))
    return None


def searched(name: str, arguments: Sequence[Value], named: Mapping[str, Value]) -> Known | None:
    """`re.match(pattern, field, flags)` and its like; the pattern may be a compiled one."""
    how = _SEARCHES.get(name)
    if how is None or len(arguments) not in (2, 3) or set(named) - {"flags"}:
        return None
    pattern, subject = arguments[:2]
    flags = named.get("flags", arguments[2] if len(arguments) == 3 else Const(0))
    if not isinstance(pattern, Const) or not isinstance(flags, Const) or not isinstance(flags.value, int):
        return None
    if isinstance(pattern.value, re.Pattern):
        if len(arguments) == 3 or named or not isinstance(pattern.value.pattern, str):
            return None  # what comes third there are positions
        regex = Regex(pattern.value.pattern, how, pattern.value.flags & ~re.UNICODE)
    elif isinstance(pattern.value, str) and _compiles(pattern.value, int(flags.value)):
        regex = Regex(pattern.value, how, int(flags.value))
    else:
        return None
    if subject == Const(""):
        return evaluated(lambda: getattr(re, how)(regex.pattern, "", regex.flags) is not None)
    return tested(subject, "match", regex) if isinstance(subject, Field) and subject.path and not subject.fold else None


def _compiles(pattern: str, flags: int) -> bool:
    try:
        re.compile(pattern, flags)
    except (re.error, RecursionError, OverflowError, ValueError):
        return False
    return True


def added(op: ast.operator, left: Value, right: Value) -> Known | None:
    """`left op right` of small constants: counting, and putting texts together."""
    operation = _ARITHMETIC.get(type(op))
    if operation is None or not (isinstance(left, Const) and isinstance(right, Const)):
        return None
    both = (left.value, right.value)
    numbers = all(type(each) in (int, bool) and abs(each) < 2**31 for each in both)
    texts = isinstance(op, ast.Add) and all(type(each) is str and len(each) < 1_000 for each in both)
    flags = isinstance(op, ast.BitOr) and all(isinstance(each, re.RegexFlag) for each in both)
    return evaluated(lambda: operation(*both)) if numbers or texts or flags else None


def evaluated(of: Callable[[], Any]) -> Known | None:
    """What a harmless operation on constants gives; None where it raises."""
    try:
        return Known(Const(of()))
    except Exception:  # whatever the types say to an operation that they do not know
        return None


def is_plain(value: Any) -> bool:
    """Whether a constant is one that engines have too, and that equals nothing but its like."""
    return value is None or type(value) in (str, int, bool) or (type(value) is float and math.isfinite(value))


_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "eq",
    ast.Is: "eq",
    ast.IsNot: "eq",
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
