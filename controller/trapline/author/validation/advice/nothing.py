"""Texts into which "None" gets: a value that a record does not have, put straight into a title or a dedupe key."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property

from trapline.author.validation.advice.dedupe import keys_of
from trapline.author.validation.advice.known import known_of_matches
from trapline.author.validation.advice.subject import Function, Subject, own_nodes, returned, values_of
from trapline.detection.inference.names import parameters_of, spelled
from trapline.detection.inference.predicate import Path
from trapline.detection.model import Mode
from trapline.errors import Problem

_TEXTS = {
    "title": ('the title says "None"', "none-in-title"),
    "dedupe": ('the dedupe key holds "None", and puts strangers together,', "none-in-dedupe"),
}


def nothing_in_texts(subject: Subject) -> Iterator[Problem]:
    """A warning for each value in a title or dedupe key that may be None, as far as that can be seen."""
    known: frozenset[Path] | None = None
    told: set[ast.expr] = set()
    for function in subject.functions:
        for field, (so, code) in _TEXTS.items():
            for node, fails, path in _nothing(field, subject, function):
                known = known_of_matches(subject) if known is None else known
                if node not in told and path not in known:
                    told.add(node)
                    message = f"{f'`{field}` fails' if fails else so} for a record without {'.'.join(path)}"
                    text = subject.text(node, function.file)
                    remedy = f'write `{text} or "unknown"`' if text.isprintable() else "say what stands for it then"
                    yield subject.in_code(node, code, message, remedy, file=function.file)


def _nothing(field: str, subject: Subject, function: Function) -> Iterator[tuple[ast.expr, bool, Path]]:
    """What is put into a text and may be None, whether that fails then, and the part of the record that it is."""
    roots: Iterable[ast.expr] = ()
    if function.node.name == field:
        roots = returned(function.node)
    elif subject.detection.mode is Mode.BATCH:
        roots = keys_of(field, function)
    looked: _Looked | None = None
    for root in roots:
        looked = looked or _Looked(subject, function)
        for node, fails in looked.texts_in(root):
            if path := looked.nothing(node):
                yield node, fails, path


class _Looked:
    """One function, and what it asks about before it goes on."""

    def __init__(self, subject: Subject, function: Function, outer: tuple[ast.FunctionDef, ...] = ()) -> None:
        self._subject = subject
        self._function = function
        self._values = values_of(function.node)
        self._around = (*outer, function.node)

    @cached_property
    def _asked(self) -> frozenset[str | Path]:
        """The names, and the parts of the record, that the function asks about before it goes on."""
        tests = [inner for node in own_nodes(self._function.node) for test in _tests(node) for inner in ast.walk(test)]
        names = {node.id for node in tests if isinstance(node, ast.Name)} - {*parameters_of(self._function.node)}
        return frozenset(names | {path for node in tests if (path := self._function.scope.part(node))})

    def texts_in(self, root: ast.expr) -> Iterator[tuple[ast.expr, bool]]:
        """What is put into a text, and whether None makes that fail."""
        pending: list[ast.AST] = [root]
        seen: set[ast.AST] = set()
        while pending:
            node = pending.pop()
            if node in seen:  # a name may stand for what has that name in it
                continue
            seen.add(node)
            match node:
                case ast.Compare():
                    continue
                case ast.Name(name) if name in self._values and isinstance(node.ctx, ast.Load):
                    pending.append(self._values[name])
                case ast.FormattedValue(value, format_spec=spec):
                    yield value, spec is not None
                case ast.Call(ast.Name("str"), [value], []):
                    yield value, False
                case ast.Call(ast.Attribute(ast.Constant(str()), "format"), arguments, keywords):
                    yield from ((value, False) for value in (*arguments, *(each.value for each in keywords)))
                case ast.BinOp(ast.Constant(str()), ast.Mod(), ast.Tuple(values)):
                    yield from ((value, False) for value in values)
                case ast.BinOp(ast.Constant(str()), ast.Mod(), value):
                    yield value, False
                case ast.BinOp(left, ast.Add(), right) if _is_text(left) or _is_text(right):
                    yield from ((value, True) for value in (left, right))
            pending.extend(ast.iter_child_nodes(node))

    def nothing(self, node: ast.expr) -> Path | None:
        """The part of the record that an expression is, where it may be None."""
        match node:
            case ast.NamedExpr(_, value):
                return self.nothing(value)
            case ast.Name(name) if name in self._values:
                path = self.nothing(self._values[name])
                return None if path and name in self._asked else path
            case ast.BoolOp(ast.Or(), values):
                return self.nothing(values[-1])
            case ast.IfExp(_, body, orelse):
                return self.nothing(body) or self.nothing(orelse)
            case ast.Call(ast.Attribute(_, "get" | "deepget"), [_] | [_, ast.Constant(None)], []) | ast.Subscript():
                path = self._function.scope.part(node)
                return None if path in self._asked else path
            case ast.Call(function) if called := self._subject.called(node, self._function):
                path = self._nothing_of(self._subject.function(*called))
                return None if path and spelled(function) in self._asked else path
            case _:
                return None

    def _nothing_of(self, called: Function) -> Path | None:
        if called.node in self._around:
            return None
        inner = _Looked(self._subject, called, self._around)
        return next((path for value in returned(called.node) if (path := inner.nothing(value))), None)


def _tests(node: ast.AST) -> list[ast.expr]:
    """What a node asks before it goes on."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Assert(test=test):
            return [test]
        case ast.Match(subject=test):
            return [test]
        case ast.comprehension(ifs=tests):
            return tests
        case ast.BoolOp(ast.And(), values):
            return values[:-1]
        case _:
            return []


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
