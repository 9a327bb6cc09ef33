"""Functions that never look at what they are given, and so say the same whatever it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from trapline.author.validation.advice.subject import Subject, returned
from trapline.detection.inference.parts import positional
from trapline.detection.lint import OPTIONAL_FUNCTIONS
from trapline.detection.model import Mode
from trapline.errors import Problem

_INSTEAD = {
    "title": "`display_name`",
    "severity": "`alert.severity`",
    "destinations": "`alert.destinations`",
    "description": "`description`",
    "runbook": "`runbook`",
}
"""The key of the config that says the same of every alert."""


def unused_parameters(subject: Subject) -> Iterator[Problem]:
    """A parameter that is not used at all, and is not called `_` or `_record` to say so."""
    if subject.names:
        own = {name: found.node for name in subject.names.functions if (found := subject.names.own(name))}
        yield from _of_the_record(subject, own)
        yield from _of_helpers(subject, own)


def _of_the_record(subject: Subject, functions: Mapping[str, ast.FunctionDef]) -> Iterator[Problem]:
    for name in ("detect", *OPTIONAL_FUNCTIONS):
        node = functions.get(name)
        if node is None or node.decorator_list or len(parameters := positional(node)) != 1:
            continue
        parameter = parameters[0]
        if parameter.startswith("_") or _is_used(parameter, node) or _is_unfinished(node):
            continue
        if name == "detect":
            batch = subject.detection.mode is Mode.BATCH
            each = "batch of records" if batch else "record"
            message = f"`detect` never looks at `{parameter}`, and says the same of every {each}"
            example = f"for record in {parameter}:" if batch else f'{parameter}.deepget("event.action")'
            remedy = f"read it, for example `{example}`"
        elif name in _INSTEAD:
            message = f"`{name}` never looks at `{parameter}`, and says the same of every match"
            remedy = f"say it with {_INSTEAD[name]} in the config, or call the parameter `_{parameter}`"
        else:  # `dedupe` is looked at by itself; a context may be the same each time
            continue
        yield subject.in_code((*node.args.posonlyargs, *node.args.args)[0], "unused-parameter", message, remedy)


def _of_helpers(subject: Subject, functions: Mapping[str, ast.FunctionDef]) -> Iterator[Problem]:
    for name, node in functions.items():
        if name in ("detect", *OPTIONAL_FUNCTIONS) or node.decorator_list or _is_unfinished(node):
            continue
        parameters = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        unused = [each for each in parameters if not each.arg.startswith("_") and not _is_used(each.arg, node)]
        for each in unused if unused and _is_only_called(name, subject.tree) else ():
            message = f"`{name}` never looks at `{each.arg}`"
            yield subject.in_code(each, "unused-parameter", message, f"remove it, or call it `_{each.arg}`")


def _is_only_called(name: str, tree: ast.Module) -> bool:
    """Whether it is called, and never handed on: others may have to take what they are given."""
    nodes = list(ast.walk(tree))
    named = sum(isinstance(node, ast.Name) and node.id == name for node in nodes)
    calls = (node.func for node in nodes if isinstance(node, ast.Call))
    return 0 < named == sum(isinstance(called, ast.Name) and called.id == name for called in calls)


def _is_used(parameter: str, node: ast.FunctionDef) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == parameter for inner in ast.walk(node))


def _is_unfinished(node: ast.FunctionDef) -> bool:
    """Whether it only ever says no, as a rule that was just begun does; or nothing, as one that raises does."""
    return all(isinstance(value, ast.Constant) and not value.value for value in returned(node)) and not any(
        isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node)
    )
