"""A detection as those who advise on it look at it: its functions, and what of the record their names stand for."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from trapline.config.locate import Keys
from trapline.detection.inference.modules import names_of_script
from trapline.detection.inference.names import Function as Definition
from trapline.detection.inference.names import Names, bound_by, parameters_of
from trapline.detection.inference.parse import Unreadable, parse, quietly
from trapline.detection.inference.parts import Parts, Scope, positional
from trapline.detection.inference.predicate import Path
from trapline.detection.lint import OPTIONAL_FUNCTIONS, column_of
from trapline.detection.model import Detection, Mode
from trapline.detection.parse import parse as parse_config
from trapline.errors import Problem, Severity

_DEEPEST = 30
"""Steps into a record, more than which are a function's that calls itself."""

_Call = tuple[Definition, frozenset[tuple[str, Path]]]
"""A function, with the parts of the record that it is given."""


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the detection, and what of the record it is given."""

    defined: Definition
    scope: Scope

    @property
    def node(self) -> ast.FunctionDef:
        return self.defined.node

    @property
    def file(self) -> str:
        """The module that it is in, by its path in the detection; empty for the script."""
        return self.defined.names.file

    @property
    def nodes(self) -> Sequence[ast.AST]:
        """All that is in its body."""
        return self.scope.nodes


@dataclass(frozen=True, eq=False)
class Subject:
    """`names` is None where the code may change its own names in ways that cannot be seen: then it has no functions to
    speak of."""

    detection: Detection
    tree: ast.Module
    names: Names | None

    @classmethod
    def of(cls, detection: Detection) -> Subject:
        try:
            with quietly():
                script = detection.files[detection.script].content
                return cls(detection, parse(script), names_of_script(script, detection.modules))
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
            defined = self.names.functions.get(name) if self.names else None
            if defined is None or defined.node.decorator_list or len(parameters := positional(defined.node)) != 1:
                continue
            if self.detection.mode is Mode.BATCH and name == "detect":
                self._add(defined, {}, found, records=parameters[0])
            else:
                self._add(defined, {parameters[0]: ()}, found)
        return found

    def has_function(self, name: str) -> bool:
        """Whether the script defines a function of this name, however it may change its names later."""
        return any(isinstance(node, ast.FunctionDef) and node.name == name for node in self.tree.body)

    def called(self, call: ast.Call, by: Function) -> tuple[Definition, Parts] | None:
        """The function of the detection that is called, with the parts of the record that it is given; None where it is
        given none."""
        defined = None if call.keywords else by.scope.function(call.func)
        if defined is None:
            return None
        pairs = zip(positional(defined.node), call.args, strict=False)
        parts = {each: by.scope.part(value) for each, value in pairs}
        given = {each: part for each, part in parts.items() if part is not None and len(part) <= _DEEPEST}
        return (defined, given) if given else None

    def function(self, defined: Definition, given: Parts) -> Function:
        """One that is among `functions`."""
        return self._functions[defined, frozenset(given.items())]

    def text(self, node: ast.expr, file: str = "") -> str:
        """An expression as it stands in the script, or in another module."""
        return ast.get_source_segment(self._source(file).decode("utf-8", "replace"), node) or ast.unparse(node)

    def in_code(
        self, node: ast.expr | ast.stmt | ast.arg, code: str, message: str, remedy: str, *, file: str = ""
    ) -> Problem:
        """A warning at a place of the script, or of another module."""
        column = column_of(self._source(file).splitlines(), node.lineno, node.col_offset)
        path = self.detection.place(file or self.detection.script)
        return Problem(path, node.lineno, "warning", code, message, remedy, column)

    def in_config(self, keys: Keys, code: str, message: str, remedy: str, *, severity: Severity = "warning") -> Problem:
        """A problem at a key of the config."""
        path = self.detection.place(self.detection.config_file)
        file = self.detection.files.get(self.detection.config_file)
        document = parse_config(path, file.content).document if file else None
        if document is None:  # a Detection that was not made by load
            return Problem(path, 0, severity, code, message, remedy)
        return document.problem(keys, code, message, remedy, severity=severity)

    def _source(self, file: str) -> bytes:
        return self.detection.files[file or self.detection.script].content

    def _add(self, defined: Definition, given: Parts, found: dict[_Call, Function], *, records: str = "") -> None:
        """With those that it calls."""
        key = (defined, frozenset(given.items()))
        if key in found:
            return
        function = found[key] = Function(defined, Scope.of(defined, given, records=records))
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
