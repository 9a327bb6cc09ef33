"""Dedupe keys by which nothing is told apart, and such by which nothing is brought together."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from trapline.author.validation.advice.subject import Function, Subject, returned, values_of
from trapline.detection.model import Mode
from trapline.errors import Problem

_ITS_OWN = {("event", "id"), ("event", "original"), ("event", "created"), ("event", "ingested"), ("ts",)} | {
    ("@timestamp",),
    ("aws", "cloudtrail", "event_id"),
    ("aws", "cloudtrail", "event_time"),
}
"""What hardly two records have in common."""


def dedupe(subject: Subject) -> Iterator[Problem]:
    """A warning where a dedupe key is the same for all matches, or another for each."""
    for function in subject.functions:
        if function.node.name == "dedupe" and (keys := list(returned(function.node))):
            yield from _constant(subject, function, keys)
            yield from _unique(subject, function, keys)
        elif subject.detection.mode is Mode.BATCH:
            for key in keys_of("dedupe", function):
                if isinstance(key, ast.Constant) and key.value:
                    yield _one_alert(subject, function, key, f"the dedupe key is always {key.value!r}")
                yield from _unique(subject, function, [key])


def keys_of(field: str, function: Function) -> Iterator[ast.expr]:
    """What a batch rule says in the dictionaries of its matches under a key."""
    for inner in function.nodes:
        if isinstance(inner, ast.Dict):
            for key, value in zip(inner.keys, inner.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == field:
                    yield value


def _constant(subject: Subject, function: Function, keys: list[ast.expr]) -> Iterator[Problem]:
    said = {key.value if isinstance(key, ast.Constant) else None for key in keys}
    if len(said) == 1 and (only := said.pop()):
        yield _one_alert(subject, function, keys[0], f"the dedupe key is always {only!r}")
        return
    calls_or_names = (isinstance(inner, ast.Name | ast.Call) for key in keys for inner in ast.walk(key))
    constants = all(isinstance(key, ast.Constant) for key in keys)
    if not constants and not any(calls_or_names):
        yield _one_alert(subject, function, keys[0], "the dedupe key never changes")


def _one_alert(subject: Subject, function: Function, node: ast.expr, message: str) -> Problem:
    minutes = subject.detection.config.alert.deduplication_window_minutes
    message += f", so that all matches within {minutes} minutes become one alert"
    remedy = "build it from what belongs together, such as the user or the address; without one, the title is the key"
    return subject.in_code(node, "constant-dedupe", message, remedy, file=function.file)


def _unique(subject: Subject, function: Function, keys: list[ast.expr]) -> Iterator[Problem]:
    values = values_of(function.node) if any(isinstance(key, ast.Name) for key in keys) else {}
    paths = [_path_of_its_own(values.get(key.id, key) if isinstance(key, ast.Name) else key, function) for key in keys]
    if paths and all(paths):
        path, threshold = ".".join(paths[0] or ()), subject.detection.config.alert.threshold
        so = "every match is an alert of its own"
        if threshold > 1:
            so = f"the threshold of {threshold} matches is never reached"
        message = f"the dedupe key holds {path}, which is another for every record, so that {so}"
        remedy = "build it from what belongs together, such as the user or the address"
        yield subject.in_code(keys[0], "unique-dedupe", message, remedy, file=function.file)


def _path_of_its_own(key: ast.expr, function: Function) -> tuple[str, ...] | None:
    """The part of the record in a key that makes it unlike all others; None where there is none that is known."""
    match key:
        case ast.JoinedStr(values):
            parts = [value.value for value in values if isinstance(value, ast.FormattedValue) and not value.format_spec]
        case ast.BinOp(left, ast.Add(), right):
            parts = [left, right]
        case ast.BoolOp(ast.Or(), [first, *_]):
            parts = [first]
        case ast.Call(ast.Name("str"), [only], []):
            parts = [only]
        case _:
            path = function.scope.part(key)
            return path if path in _ITS_OWN else None
    return next((path for part in parts if (path := _path_of_its_own(part, function))), None)
