"""Generated rules on generated records: what inference says of a rule is so.

`TRAPLINE_EXAMPLES` is the number of rules; the long run takes 20,000.
"""

from __future__ import annotations

import builtins
import os
import warnings
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, event, given, settings

from tests.controller.detection.inference.grammar import batches, rules
from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import ANYTHING, FALSE, TRUE, Path, holds
from trapline.detection.inference.reads import reads_of
from trapline.detection.inference.spell import spelled
from trapline_sandbox.record import Record

EXAMPLES = int(os.environ.get("TRAPLINE_EXAMPLES", "120"))
Detect = Callable[[Any], Any]


class _Acted(Exception):
    """The rule did something that can be noticed from outside."""


def _loaded(source: str) -> Detect:
    """The rule itself, in a world where to print is an act."""

    def act(*_: Any) -> None:
        raise _Acted

    module: dict[str, Any] = {"__builtins__": {**vars(builtins), "print": act}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source, "rule", "exec"), module)  # the rules are our own
    detect: Detect = module["detect"]
    return detect


def _says(detect: Detect, record: Record) -> str:
    try:
        return "match" if detect(record) else ""
    except BaseException as error:  # also what is raised where something was not sent
        return type(error).__name__


def _at(record: Record, path: Path) -> Any:
    return record.deepget(list(path)) if path else record


def _as_engines_see_it(record: Record, path: Path) -> Any:
    """Nothing is known of what lies inside a list or a map."""
    for length in range(len(path)):
        if isinstance(_at(record, path[:length]), list | dict):
            return ANYTHING
    return _at(record, path)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules(), batches())
def test_what_is_known_of_a_rule_is_so(records_of: Any, partial: Any, source: str, batch: pa.RecordBatch) -> None:
    detect, inferred, reads = _loaded(source), infer(source), reads_of(source)
    event("all" if inferred.predicate == TRUE else "none" if inferred.predicate == FALSE else "some")
    event("not all understood" if inferred.gaps else "understood")
    event("all columns" if reads is None else "some columns")
    whole = records_of(batch)
    said = [_says(detect, record) for record in whole]
    for record, says in zip(whole, said, strict=True):
        told = f"\n{source}\n{record.to_dict()}\nsays {says!r}\n{spelled(inferred.predicate)}\n{inferred.gaps}"
        held = holds(inferred.predicate, lambda path, record=record: _at(record, path))
        assert held or not says, told
        assert not held or says or inferred.gaps, told  # without gaps it is exact
        assert not says or holds(inferred.predicate, lambda path, record=record: _as_engines_see_it(record, path)), told
    if reads is not None:
        narrow, fields = partial(batch, reads)
        assert [_says(detect, record) for record in narrow] == said
        assert not fields.missed, f"\n{source}\n{sorted(reads)}"
