"""Generated rules on generated records: what inference says of a rule is so.

`TRAPLINE_EXAMPLES` is the number of rules; the long run takes 20,000.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, event, given, settings

from tests.controller.detection.inference.grammar import Code, batches, rules
from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import ANYTHING, FALSE, TRUE, holds
from trapline.detection.inference.predicate import Path as Steps
from trapline.detection.inference.reads import reads_of
from trapline.detection.inference.spell import spelled
from trapline_sandbox.record import Record

EXAMPLES = int(os.environ.get("TRAPLINE_EXAMPLES", "120"))
Detect = Callable[[Any], Any]


class _Acted(Exception):
    """The rule did something that can be noticed from outside."""


@contextmanager
def _loaded(code: Code) -> Iterator[Detect]:
    """The rule itself, in a world where to print is an act."""

    def act(*_: Any) -> None:
        raise _Acted

    before = set(sys.modules)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, source in {"generated_rule.py": code.script.encode(), **code.modules}.items():
            Path(folder, path).parent.mkdir(exist_ok=True)
            Path(folder, path).write_bytes(source)
        sys.path.append(folder)
        importlib.invalidate_caches()
        try:
            detect: Detect = importlib.import_module("generated_rule").detect
            loaded = {name for name in sys.modules.keys() - before if name.split(".")[0] in ("generated_rule", "lib")}
            for name in loaded:
                vars(sys.modules[name])["print"] = act
            yield detect
        finally:
            sys.path.remove(folder)
            for name in sys.modules.keys() - before:
                if name.split(".")[0] in ("generated_rule", "lib"):
                    del sys.modules[name]


def _says(detect: Detect, record: Record) -> str:
    try:
        return "match" if detect(record) else ""
    except BaseException as error:  # also what is raised where something was not sent
        return type(error).__name__


def _at(record: Record, path: Steps) -> Any:
    return record.deepget(list(path)) if path else record


def _as_engines_see_it(record: Record, path: Steps) -> Any:
    """Nothing is known of what lies inside a list or a map."""
    for length in range(len(path)):
        if isinstance(_at(record, path[:length]), list | dict):
            return ANYTHING
    return _at(record, path)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules(), batches())
def test_what_is_known_of_a_rule_is_so(records_of: Any, partial: Any, code: Code, batch: pa.RecordBatch) -> None:
    inferred, reads = infer(*code), reads_of(*code)
    event("alone" if not code.modules else "with modules")
    event("all" if inferred.predicate == TRUE else "none" if inferred.predicate == FALSE else "some")
    event("not all understood" if inferred.gaps else "understood")
    event("all columns" if reads is None else "some columns")
    whole, (narrow, fields) = records_of(batch), partial(batch, reads or ())
    with _loaded(code) as detect:
        said = [_says(detect, record) for record in whole]
        again = said if reads is None else [_says(detect, record) for record in narrow]
    for record, says in zip(whole, said, strict=True):
        told = f"\n{code}\n{record.to_dict()}\nsays {says!r}\n{spelled(inferred.predicate)}\n{inferred.gaps}"
        held = holds(inferred.predicate, lambda path, record=record: _at(record, path))
        assert held or not says, told
        assert not held or says or inferred.gaps, told  # without gaps it is exact
        assert not says or holds(inferred.predicate, lambda path, record=record: _as_engines_see_it(record, path)), told
    assert again == said, f"\n{code}\n{sorted(reads or ())}"
    assert not fields.missed, f"\n{code}\n{sorted(reads or ())}"
