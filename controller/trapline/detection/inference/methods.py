"""Methods of Python's on values: what they give, and when they raise. None where that is not understood."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trapline.detection.inference import regexes
from trapline.detection.inference.operations import evaluated, holds_nothing, looked_up, some_text
from trapline.detection.inference.predicate import FALSE, TRUE, How, Path
from trapline.detection.inference.values import Const, Field, Kind, Known, Truth, Vague, Value, tested, tried, when

_SEARCHES: Mapping[str, How] = {"match": "match", "search": "search", "fullmatch": "fullmatch"}
_TO_TEXT: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("strip", "lstrip", "rstrip"), (0, 1)),
    **dict.fromkeys(("lower", "upper", "title", "casefold", "capitalize", "swapcase"), (0,)),
    **dict.fromkeys(("removeprefix", "removesuffix"), (1,)),
    "replace": (2,),
}
"""Methods of text that give text and never raise, given so many texts."""
_TO_PLAIN: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("isdigit", "isalpha", "isalnum", "isnumeric", "isupper", "islower", "isspace"), (0,)),
    **dict.fromkeys(("startswith", "endswith"), (1,)),
    **dict.fromkeys(("split", "rsplit", "splitlines"), (0,)),
    **dict.fromkeys(("find", "rfind", "count"), (1,)),
}
_OF_CONSTANTS = frozenset({*_TO_TEXT, *_TO_PLAIN}) - {"replace"}  # which can make a long text of short ones


def method(holder: Value, name: str, arguments: Sequence[Value], named: Mapping[str, Value]) -> Known | None:
    """`holder.name(*arguments, **named)`."""
    match holder:
        case Const(re.Pattern() as pattern) if arguments:
            return searched(name, [Const(pattern), *arguments], named)
        case Const(dict() as table) if name == "get" and not named:
            return _got(table, arguments)
        case Truth(groups=int() as groups) if name in ("group", "groups", "start", "end", "span") and not named:
            return _of_match(holder, groups, arguments)
    constants = [each.value for each in arguments if isinstance(each, Const)]
    given = {key: each.value for key, each in named.items() if isinstance(each, Const)}
    if len(constants) < len(arguments) or len(given) < len(named):
        return None
    match holder:
        case Const(str() as text) if name in _OF_CONSTANTS and not given:
            return evaluated(lambda: getattr(text, name)(*constants))
        case Field(fold="") if name in ("get", "deepget"):
            return _field_got(holder, name, constants, given)
        case Field() if holder.path and not given:
            return _text_method(holder, name, constants)
        case Vague("text") if not given:
            known = _vague_method(name, constants)
            return Known(known) if known else None
    return None


# Looking into something


def _got(constants: Mapping[Any, Any], arguments: Sequence[Value]) -> Known | None:
    match arguments:
        case [Const(key)] | [Const(key), Const()]:
            default = arguments[1].value if isinstance(arguments[-1], Const) and len(arguments) == 2 else None
            return evaluated(lambda: constants.get(key, default))
        case [Field() as key] | [Field() as key, Const() | Field()] if key.path:
            return looked_up(constants, key, arguments[1] if len(arguments) == 2 else Const(None))
    return None


def _field_got(holder: Field, name: str, constants: Sequence[Any], named: Mapping[str, Any]) -> Known | None:
    if not holder.path or name == "deepget":  # a dict's get takes nothing by name
        constants = [*constants, *(named[key] for key in ("default",) if key in named)]
        named = {key: value for key, value in named.items() if key != "default"}
    if named or len(constants) not in (1, 2):
        return None
    key, default = [*constants, None][:2]
    steps = _steps(key, dotted=name == "deepget")
    if steps is None or not holds_nothing(holder):
        return None
    at = tuple(key) if isinstance(key, list) else key
    found = Field((*holder.path, *steps), default)
    return Known(found, when(holder, name, at, outcome="raises") if holder.path else FALSE)


def _steps(path: Any, *, dotted: bool) -> Path | None:
    if isinstance(path, str):
        return tuple(path.split(".")) if dotted else (path,)
    plain = dotted and isinstance(path, tuple | list) and all(isinstance(each, str) for each in path)
    return tuple(path) if plain and path else None


# Texts


def _text_method(field: Field, name: str, constants: list[Any]) -> Known | None:
    match name, constants:
        case ("lower" | "upper") as fold, [] if field.fold in ("", fold):
            folded = replace(field, fold=fold)
            return Known(folded, when(folded, "truthy", outcome="raises"))
        case (("startswith" | "endswith"), [affix]):
            affixes = affix if isinstance(affix, tuple) else (affix,)
            return tested(field, name, affixes) if all(isinstance(each, str) for each in affixes) else None
    known = _vague_method(name, constants)
    return Known(known, when(field, "text", outcome="raises")) if known else None


def _vague_method(name: str, constants: Sequence[Any]) -> Vague | None:
    """What a method of an unknown text gives, if it surely does not raise."""
    texts = all(isinstance(each, str) for each in constants)
    match name, constants:
        case (("split" | "rsplit"), [str() as separator, *limit]) if separator and all(
            type(n) is int for n in limit[:1]
        ):
            return some_text("texts") if len(limit) < 2 else None
        case (("startswith" | "endswith"), [tuple() as affixes]) if all(isinstance(each, str) for each in affixes):
            return some_text("plain")
    for kinds, kind in ((_TO_TEXT, "text"), (_TO_PLAIN, "plain")):
        if texts and len(constants) in kinds.get(name, ()):
            found: Kind = "text" if kind == "text" else "plain"
            return some_text(found)
    return None


# Patterns


def searched(name: str, arguments: Sequence[Value], named: Mapping[str, Value]) -> Known | None:
    """`re.match(pattern, text, flags)` and its like; the pattern may be a compiled one."""
    how = _SEARCHES.get(name)
    if how is None or len(arguments) not in (2, 3) or set(named) - {"flags"}:
        return None
    pattern, subject, *others = (*arguments, *named.values())
    flags = [each.value for each in others if isinstance(each, Const) and type(each.value) in (int, re.RegexFlag)]
    if not isinstance(pattern, Const) or len(flags) < len(others) or len(others) > 1:
        return None
    if isinstance(pattern.value, re.Pattern) and others:
        return None  # what comes third there are positions
    regex = regexes.regex_of(pattern.value, how, int(flags[0]) if flags else 0)
    if regex is None:
        return None
    match subject:
        case Field() if subject.path:
            return tested(subject, "match", regex, groups=regexes.groups_of(regex))
        case Const(str() as text):
            may_match = "true" in tried(regex, text)
            truth = Truth(TRUE if may_match else FALSE, TRUE, regexes.groups_of(regex))
            return Known(truth, roughly="a pattern is not tried on a constant" if may_match else "")
        case Vague("text"):
            return Known(some_text("plain"))
    return None


def flag(name: str) -> Const | None:
    """A flag of `re`, such as `re.IGNORECASE`."""
    found = getattr(re, name, None)
    return Const(found) if isinstance(found, re.RegexFlag) else None


def compiled(arguments: Sequence[Value]) -> Const | None:
    """`re.compile(pattern, flags)`."""
    match arguments:
        case [Const(str() as text)]:
            pattern = regexes.compiled(text)
        case [Const(str() as text), Const(int() as flags)]:
            pattern = regexes.compiled(text, int(flags))
        case _:
            return None
    return Const(pattern) if pattern else None


def _of_match(truth: Truth, groups: int, arguments: Sequence[Value]) -> Known | None:
    """A method of what a pattern found; where it found nothing there is no such method."""
    numbers = [each.value for each in arguments if isinstance(each, Const) and type(each.value) is int]
    known = len(numbers) == len(arguments) <= 1 and all(0 <= number <= groups for number in numbers)
    return Known(some_text("plain"), truth.false) if known else None
