"""A predicate as people read it: in Python's own words, and `raises` after what raises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from trapline.detection.inference.predicate import ANY_TEXT, Every, Null, Path, Predicate, Regex, Some, Test


def spelled(predicate: Predicate) -> str:
    """Such as `event.action == "X" and (user.name is None or not user.name.startswith("adm"))`."""
    return _spelled(predicate, "")


def _spelled(predicate: Predicate, outer: str) -> str:
    match predicate:
        case Every(parts):
            return _joined("and", _conditions(parts), outer) if parts else "True"
        case Some(parts):
            return _joined("or", _alternatives(parts), outer) if parts else "False"
        case Null(path):
            return f"{_path(path)} is None"
        case Test():
            if _is_said_of_none(predicate):
                there = f"{_path(predicate.path)} is not None"
                return _joined("and", [there, _test(predicate)], outer)
            return _test(predicate)


def _joined(word: str, parts: list[str], outer: str) -> str:
    text = f" {word} ".join(parts)
    return f"({text})" if len(parts) > 1 and outer not in ("", word) else text


def _conditions(parts: tuple[Predicate, ...]) -> list[str]:
    """Where another condition says that there is a value, `x is not None and` is not said again."""
    there = {part.path for part in parts if isinstance(part, Test) and not _is_said_of_none(part)}
    said = [isinstance(part, Test) and part.path in there for part in parts]
    return [
        _test(part) if again and isinstance(part, Test) else _spelled(part, "and")
        for part, again in zip(parts, said, strict=True)
    ]


def _alternatives(parts: tuple[Predicate, ...]) -> list[str]:
    """`x is None or x is not None and x != 1` is `x != 1`."""
    nulls = {part.path for part in parts if isinstance(part, Null)}
    joined = {part for part in parts if isinstance(part, Test) and part.path in nulls and _is_said_of_none(part)}
    said = {part.path for part in joined}
    kept = [part for part in parts if not (isinstance(part, Null) and part.path in said)]
    return [_test(part) if isinstance(part, Test) and part in joined else _spelled(part, "or") for part in kept]


def _is_said_of_none(test: Test) -> bool:
    """Whether Python's words for the test are true of None too, of which the test does not speak."""
    if (test.op, test.value, test.fold, test.outcome) == (*ANY_TEXT, "", "raises"):
        return True
    about_none = (test.op == "eq" and test.value is None) or (test.op == "in" and None in test.value)
    return test.outcome == "false" and not test.fold and test.op in _NEGATED and not about_none


def _test(test: Test) -> str:
    subject = _path(test.path) + (f".{test.fold}()" if test.fold else "")
    if test.outcome == "false" and test.op in _NEGATED:
        return _NEGATED[test.op](subject, test.value)
    if (test.op, test.value) == ANY_TEXT:
        return f"isinstance({subject}, str)" if test.outcome == "true" else f"not isinstance({subject}, str)"
    said = _WORDS[test.op](subject, test.value)
    return {"true": said, "false": f"not {said}", "raises": f"{said} raises"}[test.outcome]


def _path(path: Path) -> str:
    if all(re.fullmatch(r"[\w-]+", name) for name in path):
        return ".".join(path) or "record"
    return "record" + "".join(f"[{_constant(name)}]" for name in path)


def _constant(value: Any) -> str:
    match value:
        case str():
            return json.dumps(value, ensure_ascii=not value.isprintable())
        case tuple():
            inside = ", ".join(map(_constant, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case _:
            return repr(value)


def _affixes(value: Any) -> str:
    return _constant(value[0] if isinstance(value, tuple) and len(value) == 1 else value)


def _regex(subject: str, regex: Regex) -> str:
    flags = f", {re.RegexFlag(regex.flags)!r}" if regex.flags else ""
    return f"re.{regex.how}({_constant(regex.pattern)}, {subject}{flags})"


_WORDS: Mapping[str, Callable[[str, Any], str]] = {
    "truthy": lambda subject, _: subject,
    "eq": lambda subject, value: f"{subject} {'is' if value is None else '=='} {_constant(value)}",
    "is": lambda subject, value: f"{subject} is {_constant(value)}",
    "in": lambda subject, value: f"{subject} in {_constant(value)}",
    "lt": lambda subject, value: f"{subject} < {_constant(value)}",
    "le": lambda subject, value: f"{subject} <= {_constant(value)}",
    "gt": lambda subject, value: f"{subject} > {_constant(value)}",
    "ge": lambda subject, value: f"{subject} >= {_constant(value)}",
    "startswith": lambda subject, value: f"{subject}.startswith({_affixes(value)})",
    "endswith": lambda subject, value: f"{subject}.endswith({_affixes(value)})",
    "contains": lambda subject, value: f"{_constant(value)} in {subject}",
    "match": _regex,
    "get": lambda subject, value: f"{subject}.get({_constant(value)})",
    "deepget": lambda subject, value: f"{subject}.deepget({_constant(value)})",
    "item": lambda subject, value: f"{subject}[{_constant(value)}]",
    "hash": lambda subject, _: f"hash({subject})",
    "text": lambda subject, _: f'{subject} + ""',
}
_NEGATED: Mapping[str, Callable[[str, Any], str]] = {
    "truthy": lambda subject, _: f"not {subject}",
    "eq": lambda subject, value: f"{subject} {'is not' if value is None else '!='} {_constant(value)}",
    "is": lambda subject, value: f"{subject} is not {_constant(value)}",
    "in": lambda subject, value: f"{subject} not in {_constant(value)}",
}
