"""What the names and expressions of a function stand for, where that is the record or a part of it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from trapline.detection.inference.names import Function, Names, bound_by, parameters_of, spelled
from trapline.detection.inference.predicate import Path
from trapline.detection.inference.values import Const

Parts = Mapping[str, Path]
"""What the names in a function stand for, where that is a part of the record."""


class Scope:
    """The names of one function: which are parts of the record, and which are one of some texts."""

    def __init__(self, names: Names, parts: dict[str, Path], locals: frozenset[str]) -> None:
        self.names = names
        self.parts = parts
        self.locals = locals
        self.texts: dict[str, tuple[str, ...]] = {}
        self.nodes: Sequence[ast.AST] = ()
        """All that is in the function's body."""

    @classmethod
    def of(cls, called: Function, given: Parts, *, records: str = "") -> Scope:
        """That of a function in which the `given` names are parts of the record, as far as nothing else binds them.

        `records` is the name of a list of records: what alone goes through it is a record.
        """
        function, names = called.node, called.names
        nodes = [node for statement in function.body for node in ast.walk(statement)]
        times = Counter(name for node in nodes for name in bound_by(node))
        hidden = {node.arg for node in nodes if isinstance(node, ast.arg)}
        elsewhere = hidden | names.bound | set(parameters_of(function))
        parts = {name: path for name, path in given.items() if not times[name] and name not in hidden}
        through = Counter(name for node in nodes for name in _going_through(node, records))
        parts |= {name: () for name, count in through.items() if count == times[name] and name not in elsewhere}
        scope = cls(names, parts, frozenset(times) | hidden | {*parameters_of(function)})
        scope.nodes = nodes
        for node in nodes:  # in the order of the text, so that one alias may rest on another
            match node:
                case ast.Assign([ast.Name(name)], value) | ast.NamedExpr(ast.Name(name), value) if times[name] == 1:
                    if name not in elsewhere and (path := scope.part(value)) is not None:
                        scope.parts[name] = path
                case ast.For(ast.Name(name), over) | ast.comprehension(ast.Name(name), over) if times[name] == 1:
                    if name not in elsewhere and (texts := scope.texts_of(over)) is not None:
                        scope.texts[name] = texts
        return scope

    def meaning(self, node: ast.expr) -> Const | Function | None:
        """What a name, or names with dots, stand for in the modules of the detection."""
        return None if spelled(node).split(".")[0] in self.locals else self.names.meaning(node)

    def function(self, node: ast.expr) -> Function | None:
        """The function of the detection that an expression is."""
        found = self.meaning(node)
        return found if isinstance(found, Function) else None

    def constant(self, node: ast.expr) -> Const | None:
        """The constant of a module of the detection that an expression is."""
        found = self.meaning(node)
        return found if isinstance(found, Const) else None

    def part(self, node: ast.AST) -> Path | None:
        """The part of the record that an expression is; None for anything else."""
        match node:
            case ast.Name(name):
                return self.parts.get(name)
            case ast.NamedExpr(_, value):
                return self.part(value)
            case ast.BoolOp(ast.Or(), [first, *others]) if all(map(_is_empty, others)):
                return self.part(first)
            case ast.Call(ast.Attribute(holder, "get" | "deepget" as how), [key, *_]):
                return self._inside(holder, key, dotted=how == "deepget")
            case ast.Subscript(holder, key):
                return self._inside(holder, key, dotted=False)
            case _:
                return None

    def walked(self, call: ast.Call) -> Path | None:
        """The part of the record that `deep_walk(record, "a.b")` goes through; None for anything else."""
        match call:
            case ast.Call(ast.Name(name), [holder, key], []) if name not in self.locals:
                walks = self.names.helpers.get(name) == "deep_walk"
                return self._inside(holder, key, dotted=True) if walks else None
            case _:
                return None

    def several(self, node: ast.Call) -> list[Path]:
        """The parts that `record.get(name)` may be, for a name that a loop over constants binds."""
        match node:
            case ast.Call(ast.Attribute(holder, how), [ast.Name(name), *_]) if name in self.texts:
                path, constants = self.part(holder), map(ast.Constant, self.texts[name])
                keys = (self._key(each, dotted=how == "deepget") for each in constants)
                return [] if path is None else [(*path, *key) for key in keys if key]
            case ast.Call(ast.Attribute(holder, "deepget"), [ast.List(steps) | ast.Tuple(steps), *_]):
                first = takewhile(_is_text, (getattr(step, "value", None) for step in steps))
                path = self.part(holder)
                return [] if path is None else [(*path, *map(str, first))]
            case _:
                return []

    def texts_of(self, node: ast.expr) -> tuple[str, ...] | None:
        """The texts that a loop goes through; None where it is over anything else."""
        match node:
            case ast.Name() | ast.Attribute() if found := self.constant(node):
                values = found.value
            case ast.List(items) | ast.Tuple(items) | ast.Set(items):
                values = [getattr(item, "value", None) for item in items]
            case _:
                return None
        several = isinstance(values, tuple | list | frozenset) and all(isinstance(value, str) for value in values)
        return tuple(values) if several else None

    def _inside(self, holder: ast.expr, key: ast.expr, *, dotted: bool) -> Path | None:
        path, names = self.part(holder), self._key(key, dotted=dotted)
        return None if path is None or names is None else (*path, *names)

    def _key(self, node: ast.expr, *, dotted: bool) -> Path | None:
        match node:
            case ast.Constant(str() as text):
                return tuple(text.split(".")) if dotted else (text,)
            case ast.Name() | ast.Attribute() if found := self.constant(node):
                return self._key(ast.Constant(found.value), dotted=dotted) if isinstance(found.value, str) else None
            case ast.List(parts) | ast.Tuple(parts) if dotted:
                texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                return tuple(texts) if texts and len(texts) == len(parts) else None
            case _:
                return None


def positional(function: ast.FunctionDef) -> list[str]:
    """The names of the parameters that can be given by their place."""
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args)]


def _going_through(node: ast.AST, records: str) -> Iterator[str]:
    match node:
        case ast.For(ast.Name(name), ast.Name(over)) | ast.comprehension(ast.Name(name), ast.Name(over)):
            if over == records:
                yield name


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_empty(node: ast.expr) -> bool:
    """`{}`, `[]`, `""` and the like, which stand in for a part that is not there."""
    match node:
        case ast.Dict(keys=[]) | ast.List(elts=[]) | ast.Tuple(elts=[]):
            return True
        case _:
            return isinstance(node, ast.Constant)
