"""A detection as those who advise on it look at it: its functions, and what of the record their names stand for."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from trapline.config.locate import Keys
from trapline.detection.inference.names import Names, bound_by, names_of, parameters_of
from trapline.detection.inference.parse import Unreadable, parse, quietly
from trapline.detection.inference.parts import Parts, Scope, positional
from trapline.detection.inference.predicate import Path
from trapline.detection.lint import OPTIONAL_FUNCTIONS, column_of
from trapline.detection.model import Detection, Mode
from trapline.detection.parse import parse as parse_config
from trapline.errors import Problem, Severity

_DEEPEST = 30
"""Steps into a record, more than which are a function's that calls itself."""

_Call = tuple[str, frozenset[tuple[str, Path]]]
"""A function's name, with the parts of the record that it is given."""


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the script, and what of the record it is given."""

    node: ast.FunctionDef
    scope: Scope

    @property
    def nodes(self) -> Sequence[ast.AST]:
        """All that is in its body."""
        return self.scope.nodes


@dataclass(frozen=True, eq=False)
class Subject:
    """`names` is None where the script may change its own names in ways that cannot be seen: then it has no functions
    to speak of."""

    detection: Detection
    tree: ast.Module
    names: Names | None

    @classmethod
    def of(cls, detection: Detection) -> Subject:
        try:
            with quietly():
                tree = parse(detection.files[detection.script].content)
            return cls(detection, tree, names_of(tree))
        except (Unreadable, RecursionError, MemoryError, KeyError):
            return cls(detection, ast.Module([], []), None)

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Those that are given a record or a part of it, each with every such part that it is given."""
        return tuple(self._functions.values())

    @cached_property
    def _functions(self) -> Mapping[_Call, Function]:
        found: dict[_Call, Function] = {}
        for name in ("detect", *OPTIONAL_FUNCTIONS):
            node = self.names.functions.get(name) if self.names else None
            if node is None or node.decorator_list or len(parameters := positional(node)) != 1:
                continue
            if self.detection.mode is Mode.BATCH and name == "detect":
                self._add(node, {}, found, records=parameters[0])
            else:
                self._add(node, {parameters[0]: ()}, found)
        return found

    def called(self, call: ast.Call, by: Function) -> tuple[ast.FunctionDef, Parts] | None:
        """The function of the script that is called, with the parts of the record that it is given; None where it is
        given none."""
        match call:
            case ast.Call(ast.Name(name), arguments, []) if self.names and by.scope.is_function(name):
                node = self.names.functions[name]
                pairs = zip(positional(node), arguments, strict=False)
                parts = {each: by.scope.part(value) for each, value in pairs}
                given = {each: part for each, part in parts.items() if part is not None and len(part) <= _DEEPEST}
                return (node, given) if given else None
        return None

    def function(self, node: ast.FunctionDef, given: Parts) -> Function:
        """One that is among `functions`."""
        return self._functions[node.name, frozenset(given.items())]

    def text(self, node: ast.expr) -> str:
        """An expression as it stands in the script."""
        return ast.get_source_segment(self._source.decode("utf-8", "replace"), node) or ast.unparse(node)

    def in_script(self, node: ast.expr | ast.stmt | ast.arg, code: str, message: str, remedy: str) -> Problem:
        """A warning at a place of the script."""
        path = self._path(self.detection.script)
        column = column_of(self._lines, node.lineno, node.col_offset)
        return Problem(path, node.lineno, "warning", code, message, remedy, column)

    def in_config(self, keys: Keys, code: str, message: str, remedy: str, *, severity: Severity = "warning") -> Problem:
        """A problem at a key of the config."""
        path = self._path(self.detection.config_file)
        file = self.detection.files.get(self.detection.config_file)
        document = parse_config(path, file.content).document if file else None
        if document is None:  # a Detection that was not made by load
            return Problem(path, 0, severity, code, message, remedy)
        return document.problem(keys, code, message, remedy, severity=severity)

    @property
    def _source(self) -> bytes:
        return self.detection.files[self.detection.script].content

    @cached_property
    def _lines(self) -> Sequence[bytes]:
        return self._source.splitlines()

    def _path(self, name: str) -> str:
        return name if self.detection.path == "." else f"{self.detection.path}/{name}"

    def _add(self, node: ast.FunctionDef, given: Parts, found: dict[_Call, Function], *, records: str = "") -> None:
        """With those that it calls."""
        key = (node.name, frozenset(given.items()))
        if key in found or self.names is None:
            return
        function = found[key] = Function(node, Scope.of(node, given, self.names, records=records))
        for inner in function.nodes:
            if isinstance(inner, ast.Call) and (called := self.called(inner, function)):
                self._add(*called, found)


def returned(node: ast.FunctionDef) -> Iterator[ast.expr]:
    """What a function returns, place by place; not what is returned by functions within it."""
    for statement in own_nodes(node):
        if isinstance(statement, ast.Return) and statement.value is not None:
            yield statement.value


def own_nodes(node: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of functions and classes within it."""
    pending: list[ast.AST] = list(node.body)
    while pending:
        inner = pending.pop()
        yield inner
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(inner))


def values_of(node: ast.FunctionDef) -> Mapping[str, ast.expr]:
    """What the names are that a function binds once, by a plain assignment."""
    stored = Counter(name for inner in own_nodes(node) for name in bound_by(inner)) + Counter(parameters_of(node))
    return {
        inner.targets[0].id: inner.value
        for inner in own_nodes(node)
        if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name) and stored[inner.targets[0].id] == 1
    }
