"""One predicate over many: what a scan asks for all of its rules together, in few conditions however many they are.

An engine pays for each condition on each row, and most rules begin with the same question: is this one of a few
actions? So of many rules only these questions are asked, joined to one for each path.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa

from trapline.detection.inference.predicate import (
    FALSE,
    TRUE,
    Every,
    Fold,
    Path,
    Predicate,
    Some,
    Test,
    atoms,
    every,
    some,
)
from trapline.query.condition import Condition, condition
from trapline.query.engine import Part
from trapline.query.outcomes import ANY, NONE

MOST = 12
"""So many conditions are still cheaper than rows that need not be read."""

Key = tuple[Path, Fold]
Keys = Mapping[Key, frozenset[Any]]
"""By path the constants of which a predicate needs one; of those paths alone that it needs one at."""


def rows_of(parts: Iterable[Part], schema: pa.Schema, *, spelled: Mapping[str, str], unnested: bool) -> str:
    """The condition that a row is wanted by one of the parts; those with the same `where` are asked together.

    `spelled` says each `where` in the engine's own words; `unnested` as `condition` has it.
    """
    by_where: dict[str | None, list[Predicate]] = defaultdict(list)
    for part in parts:
        by_where[part.where].append(part.predicate)
    asked = []
    for where, predicates in by_where.items():
        text = cover(predicates, schema, unnested=unnested).sql
        if where is not None and text != NONE:
            text = f"({spelled[where]})" if text == ANY else f"(({spelled[where]}) AND ({text}))"
        asked.append(text)
    if ANY in asked:
        return ANY
    return " OR ".join(text for text in asked if text != NONE) or NONE


def cover(predicates: Sequence[Predicate], schema: pa.Schema, *, unnested: bool = True) -> Condition:
    """A condition that is true wherever one of the predicates holds, in few tests."""
    return condition(loosened(predicates), schema, unnested=unnested)


def loosened(predicates: Sequence[Predicate], *, most: int = MOST) -> Predicate:
    """A predicate that holds wherever one of these does; the same as all of them together where they are few."""
    each = {predicate: _keys(predicate) for predicate in dict.fromkeys(predicates) if predicate != FALSE}
    shared = [key for key, count in _counted(each.values()).items() if count == len(each)]
    needed = [_among(key, each.values()) for key in shared]
    if sum(1 for predicate in each for _ in atoms(predicate)) <= most:
        return every(*needed, some(*each)) if len(each) > 1 else some(*each)
    return every(*needed) if needed else _by_keys(each, most)


def _by_keys(each: Mapping[Predicate, Keys], most: int) -> Predicate:
    """For each predicate one of its keys, that most others have too; those without a key as they are, if few."""
    counted = _counted(each.values())
    having: dict[Key, list[Keys]] = defaultdict(list)
    odd = [predicate for predicate, keys in each.items() if not keys]
    if sum(1 for predicate in odd for _ in atoms(predicate)) > most:
        return TRUE
    for keys in filter(None, each.values()):
        having[max(keys, key=lambda key: counted[key])].append(keys)
    return some(*(_among(key, keys) for key, keys in having.items()), *odd)


def _counted(each: Iterable[Keys]) -> Counter[Key]:
    return Counter(key for keys in each for key in keys)


def _among(key: Key, each: Iterable[Keys]) -> Test:
    path, fold = key
    constants = dict.fromkeys(constant for keys in each for constant in sorted(keys[key], key=repr))
    return Test(path, "in", tuple(constants), fold)


def _keys(predicate: Predicate) -> Keys:
    if isinstance(predicate, Test) and predicate.op in ("eq", "in") and predicate.outcome == "true":
        constants = predicate.value if predicate.op == "in" else (predicate.value,)
        return {(predicate.path, predicate.fold): frozenset(constants)} if isinstance(constants, tuple) else {}
    if isinstance(predicate, Every):
        return reduce(_of_both, map(_keys, predicate.parts), {})
    if isinstance(predicate, Some) and predicate.parts:
        return reduce(_of_either, map(_keys, predicate.parts))
    return {}


def _of_both(one: Keys, other: Keys) -> Keys:
    return {**one, **{key: one[key] & found if key in one else found for key, found in other.items()}}


def _of_either(one: Keys, other: Keys) -> Keys:
    return {key: one[key] | other[key] for key in one.keys() & other.keys()}
