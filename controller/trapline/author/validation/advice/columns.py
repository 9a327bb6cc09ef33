"""Columns that no table of a detection has: read by the rule, or written in the records of its tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trapline.author.validation.advice.schemas import Schemas, Shape
from trapline.author.validation.advice.subject import Function, Subject
from trapline.config.words import did_you_mean
from trapline.detection.inference.predicate import Path
from trapline.errors import Problem
from trapline.query.engine import QueryError

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a detection, all of which are known."""

    names: Sequence[str]
    shapes: Sequence[Shape]
    documented: bool

    def lack(self, path: Path, known: int) -> tuple[str, str] | None:
        """Why none of them has what is at a path, and the remedy; None where one of them may.

        The first `known` steps of the path were looked at before, where they were taken.
        """
        found = [_lack(shape, path, known) for shape in self.shapes]
        if not all(found):
            return None
        message, remedy = found[0] or ("", "")
        which = "the table" if len(self.names) == 1 else "the tables"
        as_made = ", as `trapline tables import` makes it" if self.documented else ""
        return f"{message} in {which} {', '.join(self.names)}{as_made}", remedy


def columns_of_rule(subject: Subject, schemas: Schemas) -> Iterator[Problem]:
    """A warning for each column that a script reads and that is in none of its tables."""
    tables = _tables(subject, schemas)
    told: set[ast.expr] = set()
    for function in subject.functions if tables else ():
        for node in function.nodes:
            for place, path, known in _read(node, function):
                if tables and place not in told and (said := tables.lack(path, known)):
                    told.add(place)
                    yield subject.in_code(place, "unknown-column", *said, file=function.file)


def columns_of_tests(subject: Subject, schemas: Schemas) -> Iterator[Problem]:
    """A warning for each field of a test's record that no table has: such a test shows nothing of production."""
    tables = _tables(subject, schemas)
    told: set[Path] = set()
    for number, case in enumerate(subject.detection.config.tests if tables else ()):
        for index, record in enumerate(case.records):
            for keys, path in _written(record):
                if tables and path not in told and (said := tables.lack(path, len(path) - 1)):
                    told.add(path)
                    yield subject.in_config(("tests", number, "records", index, *keys), "unknown-column", *said)


def _tables(subject: Subject, schemas: Schemas) -> Tables | None:
    """None where one of them is not known, or has nothing in it yet."""
    names = subject.detection.config.tables
    try:
        shapes = [schemas.shape(name) for name in names]
    except QueryError:
        return None
    return Tables(names, shapes, any(map(schemas.is_documented, names))) if all(one.fields for one in shapes) else None


def _read(node: ast.AST, function: Function) -> Iterator[tuple[ast.expr, Path, int]]:
    """What this one node reads of the record, where that is said, and how much of the path is what it reads it from."""
    match node:
        case ast.Call(ast.Attribute(holder, "get" | "deepget"), [key, *_]) | ast.Subscript(holder, key):
            path, held = function.scope.part(node), function.scope.part(holder)
            if path is not None and held is not None:
                yield key, path, len(held)


def _written(record: Mapping[str, Any]) -> Iterator[tuple[Keys, Path]]:
    """The fields of a record, with those inside them, by their keys in the config and their path in a table."""
    pending: list[tuple[Keys, Path, Any]] = [((), (), record)]
    while pending:
        keys, path, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [((*keys, name), (*path, str(name)), inner) for name, inner in value.items()]
        elif isinstance(value, list | tuple):
            pending += [((*keys, place), (*path, str(place)), inner) for place, inner in enumerate(value)]
        if path and value is not None:
            yield keys, path


def _lack(shape: Shape, path: Path, known: int) -> tuple[str, str] | None:
    """What the first step that leads nowhere does not find; None where all lead somewhere, or a known one does not."""
    for depth, name in enumerate(path):
        inner = shape.inside(name)
        if inner is None:
            return _said(shape, ".".join(path[:depth]), name) if depth >= known else None
        shape = inner
    return None


def _said(shape: Shape, holder: str, name: str) -> tuple[str, str]:
    if shape.fields:
        message = f"`{holder}` has no field `{name}`" if holder else f"there is no column `{name}`"
        return message, did_you_mean(name, shape.fields) or f"there are {_some(list(shape.fields))}"
    message = f"`{holder}` is {shape.called}, and has no field `{name}`"
    if shape.each is not None:
        return message, f"go through it, or take a place in it: {holder}.0"
    hint = "; if it holds JSON, take it apart with json.loads" if shape.called == "text" else ""
    return message, f"read {holder} itself{hint}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
