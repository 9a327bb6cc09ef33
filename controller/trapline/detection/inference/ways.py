"""Local names on the ways through a rule, and what they are where ways meet."""

from __future__ import annotations

from collections.abc import Sequence

from trapline.detection.inference.predicate import FALSE, Predicate
from trapline.detection.inference.values import UNBOUND, Choice, Unbound, Value, chosen

Env = dict[str, Value]
"""What the local names stand for. A name that is not in it is not bound, or nothing is known of it."""

Way = tuple[Predicate, Env]
"""One way that the rule may have come: where that is so, and what the names are then."""


def merged(ways: Sequence[Way]) -> Env:
    """What the names are where several ways meet; one that some of them do not bind may be unbound."""
    ways = [way for way in ways if way[0] != FALSE] or list(ways[:1])
    first, *others = (env for _, env in ways)
    if all(env is first for env in others):
        return first
    names = dict.fromkeys(name for _, env in ways for name in env)
    return {name: _met([(where, env.get(name, UNBOUND)) for where, env in ways]) for name in names}


def _met(values: Sequence[tuple[Predicate, Value]]) -> Value:
    first = values[0][1]
    return first if all(value is first for _, value in values) else chosen(values)


def become(env: Env, other: Env) -> None:
    """Makes one like the other, for all who hold it."""
    if other is not env:
        other = dict(other)
        env.clear()
        env.update(other)


def may_be_unbound(value: Value) -> bool:
    """Whether there is a way on which this is no value."""
    return isinstance(value, Unbound) or (isinstance(value, Choice) and any(may_be_unbound(v) for _, v in value.cases))
