"""Column inference: which parts of a record a rule's `detect` can touch.

Whatever it does with them, it gets at them through the record it is given. So every use of that name is looked at, in
`detect` and in the functions of the detection that it hands the record to: `record.deepget("event.action")` touches one
column, `json.dumps(record)` may touch all. What a worker was not sent it notices when it is touched, so that a reading
that was too narrow costs time and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from trapline.detection.inference.modules import ALONE, names_of_script
from trapline.detection.inference.names import Function, is_harmless_import
from trapline.detection.inference.parse import Unreadable, quietly
from trapline.detection.inference.parts import Parts, Scope, positional
from trapline.detection.inference.predicate import Path


class Read(NamedTuple):
    """A part of the record that is looked at: with all that is in it, or, not `whole`, only whether it is there."""

    path: Path
    whole: bool


_HEARD = frozenset({"open", "print"})
"""What does more than give an answer: to do it twice for one record would show."""


class _Everything(Exception):
    """All columns may be touched."""


def reads_of(
    source: bytes | str, modules: Mapping[str, bytes] = ALONE, *, function: str = "detect"
) -> frozenset[Read] | None:
    """What a script's `detect(record)` can touch; None where that may be everything. Never raises.

    `modules` are the other Python files of the detection, by their paths: what it imports of them is followed too.
    None too for a rule that remembers something from one record to the next: it must see each record once.
    """
    try:
        with quietly():
            names = names_of_script(source, modules)
        detect = names.functions.get(function) if names else None
        if detect is None or len(parameters := positional(detect.node)) != 1:
            return None
        reader = _Reader()
        reader.function(detect, {parameters[0]: ()})
        return frozenset(read for read in reader.reads if not _is_within(read, reader.reads))
    except (_Everything, Unreadable, RecursionError, MemoryError):
        return None


class _Reader:
    def __init__(self) -> None:
        self._seen: set[tuple[Function, frozenset[tuple[str, Path]]]] = set()
        self.reads: set[Read] = set()

    def function(self, called: Function, given: Parts) -> None:
        """A function whose parameters are these parts of the record."""
        function = called.node
        key = (called, frozenset(given.items()))
        if key in self._seen:
            return
        self._seen.add(key)
        defaults = (*function.args.defaults, *filter(None, function.args.kw_defaults))
        if function.decorator_list or not all(isinstance(default, ast.Constant) for default in defaults):
            raise _Everything  # what is made with the function outlives a record, and may change with it
        scope = self._scope(called, given)
        for statement in function.body:
            self._use(statement, scope)

    def _scope(self, function: Function, given: Parts) -> Scope:
        scope = Scope.of(function, given)
        if any(isinstance(node, _OUTLIVING) for node in scope.nodes):
            raise _Everything
        if not given.keys() <= scope.parts.keys():
            raise _Everything  # a part of the record under a name that also stands for something else
        return scope

    def _use(self, node: ast.AST, scope: Scope) -> None:
        """Notes what a node touches."""
        match node:
            case ast.Assign([ast.Name(name)], value) | ast.NamedExpr(ast.Name(name), value) if name in scope.parts:
                self._step_through(value, scope)  # it is the uses of the name that count
            case ast.Name(name):
                self._use_name(node, scope)
            case ast.Call(called, arguments, keywords) if function := scope.function(called):
                self._call(function, arguments, keywords, scope)
            case ast.Call(ast.Name(), [record, _], []) if (path := scope.walked(node)) is not None:
                self._walk_to(record, scope)
                self.reads |= {Read(path[:depth], whole=False) for depth in range(1, len(path))}
                self._whole(path)
            case ast.Attribute() if meaning := scope.meaning(node):
                if isinstance(meaning, Function):
                    self.function(meaning, {})  # somebody may call it
            case ast.Compare(ast.Constant(str() as name), [ast.In() | ast.NotIn()], [right]) if scope.part(right) == ():
                self.reads.add(Read((name,), whole=True))
            case ast.Call(ast.Attribute(holder, "get" | "deepget"), arguments, named) if several := scope.several(node):
                self._step_through(holder, scope)
                for each_path in several:
                    self._whole(each_path)
                for each in (*arguments, *named):
                    self._use(each, scope)
            case ast.Import() | ast.ImportFrom() if not is_harmless_import(node):
                raise _Everything
            case ast.expr() if (path := scope.part(node)) is not None:
                self._walk_to(node, scope)
                self._whole(path)
            case _:
                for child in ast.iter_child_nodes(node):
                    self._use(child, scope)

    def _use_name(self, node: ast.Name, scope: Scope) -> None:
        if node.id in scope.parts:
            self._whole(scope.parts[node.id])
        elif (node.id in scope.names.kept or node.id in _HEARD) and isinstance(node.ctx, ast.Load):
            raise _Everything  # something that outlives a record, and may change with it; or that is heard outside
        elif function := scope.function(node):
            self.function(function, {})  # somebody may call it

    def _whole(self, path: Path) -> None:
        if not path:
            raise _Everything
        self.reads.add(Read(path, whole=True))

    def _walk_to(self, node: ast.AST, scope: Scope) -> None:
        """Notes what is touched on the way to a part of the record, but not the part itself."""
        match node:
            case ast.Call(ast.Attribute(holder), arguments, keywords):
                self._step_through(holder, scope)
                for each in (*arguments, *keywords):
                    self._use(each, scope)
            case ast.Subscript(holder, key):
                self._step_through(holder, scope)
                self._use(key, scope)
            case ast.NamedExpr(_, value):
                self._walk_to(value, scope)
            case ast.BoolOp(values=[first, *others]):
                self._step_through(first, scope)
                for each in others:
                    self._use(each, scope)

    def _step_through(self, holder: ast.expr, scope: Scope) -> None:
        self._walk_to(holder, scope)
        if path := scope.part(holder):
            self.reads.add(Read(path, whole=False))

    def _call(
        self,
        function: Function,
        arguments: Sequence[ast.expr],
        keywords: Sequence[ast.keyword],
        scope: Scope,
    ) -> None:
        """The record, or a part of it, handed on to a function of the detection."""
        parameters = positional(function.node)
        given: dict[str, Path] = {}
        placed = list(takewhile(lambda each: not isinstance(each, ast.Starred), arguments))[: len(parameters)]
        pairs: Iterable[tuple[str | None, ast.expr]] = [
            *zip(parameters, placed, strict=False),
            *((None, each) for each in arguments[len(placed) :]),
            *((each.arg, each.value) for each in keywords),
        ]
        for name, value in pairs:
            path = scope.part(value)
            if name is None or path is None or name not in parameters:
                self._use(value, scope)
            else:
                self._step_through(value, scope)
                given[name] = path
        self.function(function, given)


_OUTSIDE = frozenset({"open", "print", "input"})
"""Functions whose doings last, so that a rule should not do them twice."""
_OUTLIVING = (ast.Global, ast.Nonlocal, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
"""What may remember something, or has names of its own."""


def _is_within(read: Read, others: set[Read]) -> bool:
    """Whether another takes in all of this one."""
    longest = len(read.path) + (not read.whole)
    return any(Read(read.path[:length], whole=True) in others for length in range(1, longest))
