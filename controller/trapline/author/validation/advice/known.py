"""What every match of a detection may be taken to have, whatever is said of it afterwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from trapline.author.validation.advice.subject import Function, Subject
from trapline.detection.inference.predicate import Path
from trapline.detection.model import Mode
from trapline.query.engine import QueryError
from trapline.query.where import named

_ALWAYS: frozenset[Path] = frozenset({("ts",), ("event", "id")})
"""What no record is without: by these it is found."""


def known_of_matches(subject: Subject) -> frozenset[Path]:
    """What `detect` or the condition of the query looks at: whoever does will have asked whether it is there.

    In the batch format `detect` says the title too, so that looking there shows nothing.
    """
    where = _of_where(subject.detection.config.query.where)
    batch = subject.detection.mode is Mode.BATCH
    return _ALWAYS | where | (frozenset() if batch else frozenset(_read_by_detect(subject)))


def _read_by_detect(subject: Subject) -> Iterator[Path]:
    pending = [function for function in subject.functions if function.node.name == "detect"]
    seen: set[Function] = set()
    while pending:
        function = pending.pop()
        if function in seen:
            continue
        seen.add(function)
        for node in function.nodes:
            if path := function.scope.part(node):
                yield path
            if isinstance(node, ast.Call) and (called := subject.called(node, function)):
                pending.append(subject.function(*called))


def _of_where(where: str | None) -> frozenset[Path]:
    try:
        return frozenset(one.path for one in named(where)) if where else frozenset()
    except QueryError:
        return frozenset()
