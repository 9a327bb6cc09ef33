"""A predicate over records: conditions on paths, joined by and and or.

    Null(path)           there is no value: the column is missing or null, or something on the way to it is
    Test(path, op, ...)  there is a value, and an operation of Python's on it comes out as told

An operation comes out as `true`, as `false`, or it `raises`: three conditions of their own, of which one holds for
every value. So "is not x" and "is null" are never confused, and no condition is ever negated.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

Path = tuple[str, ...]
"""The names of a column and of the fields inside it, outermost first."""

Fold = Literal["", "lower", "upper"]
How = Literal["match", "search", "fullmatch"]
Outcome = Literal["true", "false", "raises"]


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression of Python's, and the function of `re` that it is tried with."""

    pattern: str
    how: How
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Null:
    """There is no value at the path."""

    path: Path


@dataclass(frozen=True, slots=True)
class Test:
    """There is a value at the path, and `op` on it comes out as `outcome`; the value is folded first.

    `value` is the constant that `op` takes: a tuple of constants for `in`, `startswith` and `endswith`, a `Regex` for
    `match`, a key for `get`, `deepget` and `item`, None for `truthy`, `hash` and `text`. Of `get`, `deepget`, `item`,
    `hash` and `text` it says only whether they raise.
    """

    __test__ = False  # not a pytest class

    path: Path
    op: str
    value: Any = None
    fold: Fold = ""
    outcome: Outcome = "true"


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; without any, always true."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of the parts holds; without any, never true."""

    parts: tuple[Predicate, ...]


Predicate = Null | Test | Every | Some
TRUE, FALSE = Every(()), Some(())


def every(*parts: Predicate) -> Predicate:
    """The conjunction, shortened where that is plain to see."""
    flat = _flat(parts)
    equal = {part.path: part for part in reversed(flat) if isinstance(part, Test) and _is_equal(part)}
    if equal:
        flat = _flat(_given(part, equal) for part in flat)
    if FALSE in flat or _contradict(flat):
        return FALSE
    # what another part implies says nothing: a and (a or b); what another rules out cannot be: a and (not a or b)
    plain = [part for part in flat if isinstance(part, Null | Test)]
    there = {part.path for part in plain if isinstance(part, Test) and not _is_presence(part)}
    kept: list[Predicate] = []
    for part in flat:
        if _is_presence(part) and part.path in there:
            continue
        if isinstance(part, Some):
            if not flat.keys().isdisjoint(part.parts):
                continue
            part = some(*(one for one in part.parts if not _contradict([*plain, *_parts(one)])))
        kept.append(part)
    if len(kept) == 1:
        return kept[0]
    return Every(tuple(kept)) if tuple(kept) == tuple(flat) else every(*kept)


def _flat(parts: Iterable[Predicate]) -> dict[Predicate, None]:
    return dict.fromkeys(inner for part in parts for inner in (part.parts if isinstance(part, Every) else (part,)))


def _is_equal(test: Test) -> bool:
    return (test.op, test.outcome, test.fold) == ("eq", "true", "")


def _given(predicate: Predicate, equal: Mapping[Path, Test]) -> Predicate:
    """What is left of a predicate where the values at these paths are equal to a constant."""
    if isinstance(predicate, Every | Some):
        joined = every if isinstance(predicate, Every) else some
        return joined(*(_given(part, equal) for part in predicate.parts))
    known = equal.get(predicate.path)
    if known is None or predicate is known:
        return predicate
    if isinstance(predicate, Null):
        return FALSE
    # what is equal to a text is that text; what is equal to a number may be of another type
    decides = predicate.op != "match" if isinstance(known.value, str) else predicate.op in NEVER_RAISE - {"is"}
    if not decides or (predicate.fold and not isinstance(known.value, str)):
        return predicate
    same = comes_out(predicate.op, known.value, predicate.value, predicate.fold) == predicate.outcome
    return TRUE if same else FALSE


def _parts(predicate: Predicate) -> tuple[Predicate, ...]:
    return predicate.parts if isinstance(predicate, Every) else (predicate,)


def _contradict(parts: Iterable[Predicate]) -> bool:
    """Whether two of them never hold together: a null and a test, two outcomes of one operation, or a text that cannot
    do what texts do."""
    tests = {part for part in parts if isinstance(part, Test)}
    nulls = {part.path for part in parts if isinstance(part, Null)}
    texts = {(test.path, test.fold) for test in tests if test.outcome != "raises" and _is_of_text(test)}
    for test in tests:
        is_text = (test.path, "") in texts or (test.path, test.fold) in texts
        if test.path in nulls or (is_text and test.outcome == "raises" and _never_raises_of_text(test)):
            return True
    return len({(test.path, test.op, test.value, test.fold) for test in tests}) < len(tests)


def _is_of_text(test: Test) -> bool:
    """Whether every text can do this, and nothing else can."""
    if test.op == "contains":
        return bool(test.fold) and isinstance(test.value, str)
    return test.op in ("startswith", "endswith", "match", "text") and test.value != ()


def _never_raises_of_text(test: Test) -> bool:
    return test.op in ("truthy", "hash") or _is_of_text(test) or (test.op == "contains" and isinstance(test.value, str))


def _is_presence(part: Predicate) -> TypeGuard[Test]:
    """Whether it says that there is a value, and no more; every test says as much."""
    return isinstance(part, Test) and (part.op, part.value, part.fold, part.outcome) == ("eq", None, "", "false")


def some(*parts: Predicate) -> Predicate:
    """The disjunction, shortened where that is plain to see."""
    flat = dict.fromkeys(inner for part in parts for inner in (part.parts if isinstance(part, Some) else (part,)))
    if TRUE in flat or _exhaust(flat):
        return TRUE
    # what implies another part adds nothing: a or (a and b); nor does what another leaves over: a or (not a and b)
    kept = [part for part in flat if not (isinstance(part, Every) and not flat.keys().isdisjoint(part.parts))]
    if len(kept) > _MANY:
        return Some(tuple(kept))
    atomic = [part for part in kept if isinstance(part, Null | Test)]
    shorter = [_without_the_rest(part, atomic) if isinstance(part, Every) else part for part in kept]
    shorter = _paired(shorter)
    if shorter != kept:
        return some(*shorter)
    return kept[0] if len(kept) == 1 else Some(tuple(kept))


_MANY = 20
"""Of more parts than these it would take too long to see which belong together."""


def _without_the_rest(part: Every, others: Sequence[Predicate]) -> Predicate:
    """The part without what holds wherever none of the others does."""
    if not others:
        return part
    needed = [one for one in part.parts if not _exhaust([*others, *_alternatives(one)])]
    return part if len(needed) == len(part.parts) else every(*needed)


def _paired(parts: list[Predicate]) -> list[Predicate]:
    """The parts, with one in place of two such as (a and b) and (not a and b)."""
    alike: dict[frozenset[Predicate], tuple[int, Predicate]] = {}
    for index, part in enumerate(parts):
        if not isinstance(part, Every) or len(part.parts) > _MANY:
            continue
        for one in part.parts:
            rest = frozenset(part.parts) - {one}
            other, before = alike.setdefault(rest, (index, one))
            if other < index and _exhaust([*_alternatives(before), *_alternatives(one)]):
                without = [each for at, each in enumerate(parts) if at not in (other, index)]
                return [*without, every(*(each for each in part.parts if each in rest))]
    return parts


def _alternatives(predicate: Predicate) -> tuple[Predicate, ...]:
    return predicate.parts if isinstance(predicate, Some) else (predicate,)


def _exhaust(parts: Iterable[Predicate]) -> bool:
    """Whether one of them holds for every record: a null, and both outcomes of an operation that never raises."""
    nulls = {part.path for part in parts if isinstance(part, Null)}
    tests = [part for part in parts if isinstance(part, Test) and part.path in nulls]
    sure = {
        (part.path, part.op, part.value, part.outcome) for part in tests if part.op in NEVER_RAISE and not part.fold
    }
    return any((path, op, value, "false") in sure for path, op, value, outcome in sure if outcome == "true")


def atoms(predicate: Predicate) -> Iterator[Null | Test]:
    """Every condition in it, left to right."""
    if isinstance(predicate, Every | Some):
        for part in predicate.parts:
            yield from atoms(part)
    else:
        yield predicate


def paths(predicate: Predicate) -> set[Path]:
    """Every path that the predicate looks at."""
    return {atom.path for atom in atoms(predicate)}


ANYTHING = object()
"""What lies at a path through a map or a list: no condition on it is ever known not to hold."""


def holds(predicate: Predicate, get: Callable[[Path], Any]) -> bool:
    """Whether the predicate holds for a record; `get` gives the value at a path, None where there is none, or ANYTHING.

    This is what the words mean, and every engine's form of a predicate has to hold wherever this does.
    """
    if isinstance(predicate, Every):
        return all(holds(part, get) for part in predicate.parts)
    if isinstance(predicate, Some):
        return any(holds(part, get) for part in predicate.parts)
    value = get(predicate.path)
    if value is ANYTHING:
        return True
    if isinstance(predicate, Null):
        return value is None
    return value is not None and comes_out(predicate.op, value, predicate.value, predicate.fold) == predicate.outcome


def comes_out(op: str, value: Any, constant: Any, fold: Fold = "") -> Outcome:
    """How an operation on a value comes out, as Python has it; `value` may be None here."""
    try:
        return "true" if _OPERATIONS[op](getattr(value, fold)() if fold else value, constant) else "false"
    except Exception:  # whatever a type says to an operation that it does not know
        return "raises"


NEVER_RAISE = frozenset({"truthy", "eq", "is", "in"})
"""Operations that come out as true or as false on every value."""
ANY_TEXT = ("startswith", ("",))
"""An operation that is true of every text, and raises for everything else."""

_OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "truthy": lambda value, _: value,
    "eq": operator.eq,
    "is": operator.is_,
    "in": lambda value, constants: value in constants,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "startswith": lambda value, prefixes: value.startswith(prefixes),
    "endswith": lambda value, suffixes: value.endswith(suffixes),
    "contains": operator.contains,
    "match": lambda value, regex: getattr(re, regex.how)(regex.pattern, value, regex.flags),
    "get": lambda value, key: value.get(key),
    "deepget": lambda value, key: value.deepget(key),
    "item": operator.getitem,
    "hash": lambda value, _: hash(value),
    "text": lambda value, _: value + "",
}
