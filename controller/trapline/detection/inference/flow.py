"""What is noted on the way through a rule: where it may raise, and where it was not understood."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from trapline.detection.inference.predicate import FALSE, TRUE, Predicate, atoms, every, some
from trapline.detection.inference.values import LOST, Gap, Kind, Lost, Truth, Vague

MOST_STEPS = 5_000
MOST_ATOMS = 300


class TooMuch(Exception):
    """It is larger than what is worth following."""


@dataclass(frozen=True, slots=True)
class Exit:
    """Where a rule may raise. An exception of the usual `kind` (a TypeError, a KeyError or an AttributeError) may be
    caught by the rule; anything else that it is not known to do cannot be undone."""

    where: Predicate
    usual: bool


class Flow:
    """Where the rule may raise, for records that get as far as what is being followed."""

    def __init__(self) -> None:
        self.gaps: dict[Gap, None] = {}
        self.exits: list[Exit] = []
        self._steps = 0
        self.file = ""
        """The module whose function is being followed."""

    def step(self) -> None:
        """Notes that one more thing was followed. Raises TooMuch."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooMuch("it is too long to be followed")

    @contextmanager
    def only_where(self, here: Predicate) -> Iterator[None]:
        """What may raise in here does so only where this holds."""
        with self.apart() as exits:
            yield
        self.exits += [Exit(self.small(every(here, each.where)), each.usual) for each in exits]

    @contextmanager
    def apart(self) -> Iterator[list[Exit]]:
        """What may raise in here is put into a list of its own."""
        outer, self.exits = self.exits, []
        try:
            yield self.exits
        finally:
            self.exits = outer

    def may_raise(self, where: Predicate, *, usual: bool = True) -> None:
        """Notes that the rule may raise here."""
        if where != FALSE:
            self.exits.append(Exit(where, usual))

    def lost(self, node: ast.AST, reason: str) -> Lost:
        """Here the rule may do anything: raise, match, or change what comes after."""
        self.gap(node, reason)
        self.may_raise(TRUE, usual=False)
        return LOST

    def gap(self, node: ast.AST, reason: str) -> None:
        """Notes that something is only roughly known."""
        self.gaps[self.at(node, reason)] = None

    def at(self, node: ast.AST, reason: str) -> Gap:
        """What is not known at a place of the rule."""
        return Gap(getattr(node, "lineno", 0), reason, self.file)

    def vague(self, node: ast.AST, kind: Kind = "plain") -> Vague:
        """The value of an expression that does no harm."""
        return Vague(kind, self.at(node, f"`{shown(node)}` is not known"))

    def small(self, predicate: Predicate) -> Predicate:
        """The predicate. Raises TooMuch."""
        if sum(1 for _ in islice(atoms(predicate), MOST_ATOMS + 1)) > MOST_ATOMS:
            raise TooMuch("it has too many cases to be followed")
        return predicate

    def some(self, parts: Iterable[Predicate]) -> Predicate:
        """One of several, kept small. Raises TooMuch."""
        return self.small(some(*parts))

    def every(self, parts: Iterable[Predicate]) -> Predicate:
        """All of several, kept small. Raises TooMuch."""
        return self.small(every(*parts))


def shown(node: ast.AST) -> str:
    """The beginning of a part of the rule."""
    try:
        text = ast.unparse(node).split("\n", 1)[0]
    except ValueError:  # a number of too many digits
        text = type(node).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def turned(truth: Truth) -> Truth:
    """What `not` makes of it."""
    return Truth(truth.false, truth.true)
