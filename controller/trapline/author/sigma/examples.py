"""Records made up from a rule's own conditions, and kept only where the rule itself says of them what is expected."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from trapline.author.sigma.fields import Field
from trapline.author.sigma.terms import Call, Every, Example, Not, Some, Term, Test

_MOST = 64
"""Ways that are tried to make a rule true."""
_Values = Mapping[Field, str]


@dataclass(frozen=True, slots=True)
class Examples:
    """A record that the rule matches, and one that it does not, which differs in the field `changed`."""

    match: Mapping[str, Any]
    other: Mapping[str, Any]
    changed: str


def examples(condition: Term, script: str) -> Examples | None:
    """What can be made up for a rule; None where that is not everything, or where it holds a regular expression."""
    if _has_regex(condition):
        return None
    matches = _verdicts(script)
    for wanted in itertools.islice(_ways(condition, True), _MOST):
        values = _joined(wanted)
        record = values and _record(values)
        if not record or not matches(record):
            continue
        for field in sorted(values, key=lambda one: bool(one.path)):
            other = _record({**values, field: _another(values[field])})
            if other and not matches(other):
                return Examples(record, other, field.name)
    return None


class _Row:
    """As much of a record as the scripts that are made here ask for."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def deepget(self, path: str, default: Any = None) -> Any:
        value: Any = self._data
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None else value


def _verdicts(script: str) -> Callable[[Mapping[str, Any]], bool]:
    """The rule itself. It is run here, for all of its code was made here, and what is the rule's own is text in it."""
    names: dict[str, Any] = {}
    exec(compile(script, "detect.py", "exec"), names)  # noqa: S102
    return lambda record: bool(names["detect"](_Row(record)))


def _has_regex(term: Term) -> bool:
    """A regular expression has no value to be read off it, and may take for ever on a text."""
    match term:
        case Test():
            return not term.made_up
        case Call():
            return _has_regex(term.inner)
        case Not(inner):
            return _has_regex(inner)
        case Every(terms) | Some(terms):
            return any(map(_has_regex, terms))


def _ways(term: Term, wanted: bool) -> Iterator[tuple[Example, ...]]:
    """Examples that together should make a term as it is wanted, one way after the other."""
    match term:
        case Test():
            if wanted:
                yield term.examples
            else:
                yield (Example(term.absent),) if term.absent else ()
        case Call():
            yield from _ways(term.inner, wanted)
        case Not(inner):
            yield from _ways(inner, not wanted)
        case Every(terms) if wanted:
            yield from _together(terms, wanted)
        case Some(terms) if not wanted:
            yield from _together(terms, wanted)
        case Every(terms) | Some(terms):
            for inner in terms:
                yield from _ways(inner, wanted)


def _together(terms: Sequence[Term], wanted: bool) -> Iterator[tuple[Example, ...]]:
    """All terms at once; of each but few ways, for there are as many as their product."""
    ways = [tuple(itertools.islice(_ways(term, wanted), 4)) for term in terms]
    for chosen in itertools.islice(itertools.product(*ways), _MOST):
        yield tuple(itertools.chain.from_iterable(chosen))


def _joined(wanted: Sequence[Example]) -> dict[Field, str]:
    """One value for each field, of all that is wanted of it."""
    fields = {example.field: [one for one in wanted if one.field == example.field] for example in wanted}
    return {field: _value(found) for field, found in fields.items()}


def _value(wanted: Sequence[Example]) -> str:
    whole = next((example.whole for example in wanted if example.whole is not None), None)
    if whole is not None:
        return whole
    start = max((example.start for example in wanted), key=len)
    end = max((example.end for example in wanted), key=len)
    inside = [example.inside for example in wanted if example.inside not in start + end]
    return f"{start}{' '.join(dict.fromkeys(inside))}{end}" or "example"


def _another(value: str) -> str:
    return {"true": "false", "false": "true"}.get(value, "another")


def _record(values: _Values) -> dict[str, Any] | None:
    """The record of the table that has these values; None where they do not go together."""
    record: dict[str, Any] = {}
    objects: dict[str, dict[str, Any]] = {}
    try:
        for field, value in values.items():
            if field.kind == "object":
                _put(objects.setdefault(field.column, {}), field.path, value)
            elif field.kind == "list":
                row = reduce(lambda found, key: found.setdefault(key, {}), field.column.split(".")[:-1], record)
                row.setdefault(field.column.rpartition(".")[2], [{}])[0][field.path[0]] = value
            else:
                _put(record, field.column.split("."), value == "true" if field.kind == "flag" else value)
        for column, held in objects.items():
            _put(record, column.split("."), json.dumps(held, ensure_ascii=False))
    except (AttributeError, TypeError, ValueError):
        return None
    return record


def _put(target: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Raises TypeError or ValueError where something else is there already."""
    for key in path[:-1]:
        target = target.setdefault(key, {})
    if path[-1] in target:
        raise ValueError("one value stands where another has to")
    target[path[-1]] = value
