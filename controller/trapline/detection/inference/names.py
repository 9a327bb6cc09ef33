"""What a module's names stand for: constants that nothing changes, functions, and modules that were imported whole."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trapline.detection.inference.values import Const

REACHES_ANYTHING = frozenset({"globals", "locals", "vars", "exec", "eval", "setattr", "delattr", "__builtins__"})
"""Names with which a module can change what its other names stand for, out of sight."""

_INSIDES = frozenset({"__dict__", "__globals__", "__code__", "__closure__", "__defaults__", "modules"})


@dataclass(frozen=True, slots=True)
class Names:
    """What the names of a module stand for, as far as each is bound once and for all."""

    constants: Mapping[str, Const]
    functions: Mapping[str, ast.FunctionDef]
    modules: frozenset[str]
    bound: frozenset[str]
    """Every name that is bound at the top, which hides a builtin of that name."""
    kept: frozenset[str]
    """Those that stand for what may change from one record to the next: no constant, no function, nothing imported."""


def names_of(tree: ast.Module) -> Names | None:
    """None where the module may change its own names in ways that cannot be seen."""
    nodes = list(ast.walk(tree))
    if any(map(_reaches_anything, nodes)):
        return None
    declared = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    times = Counter(name for statement in _in_scope(tree.body) for name in bound_by(statement))
    once = {name for name, count in times.items() if count == 1} - declared
    used = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    read = Counter(_only_read(nodes))
    constants: dict[str, Const] = {}
    for statement in tree.body:
        target, value = _assignment(statement)
        if isinstance(target, ast.Name) and target.id in once and value is not None:
            found = _literal(value, constants)
            # what is mutable may be changed wherever it is not merely looked into
            if found is not NOTHING and (
                not _is_mutable(value) or (used[target.id] == read[target.id] and _is_flat(found))
            ):
                constants[target.id] = Const(found, written=_is_mutable(value))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in once}
    imported = (alias for node in tree.body if isinstance(node, ast.Import) for alias in node.names)
    modules = frozenset(alias.name for alias in imported if alias.asname is None and alias.name in once)
    fixed = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    fixed |= {name for node in nodes if isinstance(node, ast.alias) for name in bound_by(node)}
    return Names(constants, functions, modules, frozenset(times), frozenset(times) - fixed - constants.keys())


def bound_by(node: ast.AST) -> Iterator[str]:
    """The names that this one node binds or removes."""
    match node:
        case ast.Name(name, ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            yield name
        case ast.alias(name, asname):
            yield asname or name.split(".")[0]
        case ast.ExceptHandler(_, str() as name) | ast.MatchAs(_, str() as name) | ast.MatchStar(str() as name):
            yield name
        case ast.MatchMapping(_, _, str() as name):
            yield name


def locals_of(function: ast.FunctionDef) -> frozenset[str]:
    """The names that are local to a function: its parameters, and all that it binds."""
    spec = function.args
    parameters = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
    bound = (name for node in _in_scope(function.body) for name in bound_by(node))
    return frozenset([each.arg for each in parameters]) | frozenset(bound)


def _in_scope(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a block that belong to its own scope: a function or class within is only bound there."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _in_scope(child for child in ast.walk(node) if isinstance(child, ast.NamedExpr))
        else:
            yield from _in_scope(ast.iter_child_nodes(node))


def _reaches_anything(node: ast.AST) -> bool:
    match node:
        case ast.Name(name):
            return name in REACHES_ANYTHING
        case ast.Attribute(ast.Name(holder), _, ast.Store() | ast.Del()) if holder != "self":
            return True  # it may replace a function of a module
        case ast.Attribute(_, attribute):
            return attribute in _INSIDES
        case ast.ImportFrom(names=names):
            return any(alias.name == "*" for alias in names)
        case _:
            return False


def _assignment(statement: ast.stmt) -> tuple[ast.expr | None, ast.expr | None]:
    match statement:
        case ast.Assign([target], value) | ast.AnnAssign(target, _, value):
            return target, value
        case _:
            return None, None


def _only_read(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """A name for each place where what it stands for is looked into, and nothing could keep or change it."""
    for node in nodes:
        match node:
            case ast.Compare(ops=ops, comparators=comparators):
                for op, right in zip(ops, comparators, strict=True):
                    if isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Name):
                        yield right.id
            case ast.For(iter=ast.Name(name)) | ast.comprehension(iter=ast.Name(name)):
                yield name
            case ast.Call(ast.Name("tuple" | "frozenset" | "len" | "any" | "all"), [ast.Name(name)], []):
                yield name
            case ast.Subscript(ast.Name(name), ctx=ast.Load()):
                yield name
            case ast.Call(ast.Attribute(ast.Name(name), "get" | "keys" | "values" | "items" | "index" | "count")):
                yield name


NOTHING = object()


def _literal(node: ast.expr, known: Mapping[str, Const]) -> Any:
    """The value of a literal: lists become tuples, sets frozen ones, dicts their keys; `NOTHING` where it is none."""
    match node:
        case ast.Constant(value):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)) if not isinstance(value, bool):
            return -value
        case ast.Name(name):
            return known[name].value if name in known and not known[name].written else NOTHING
        case ast.Tuple(items) | ast.List(items):
            return _all_literal(items, known, tuple)
        case ast.Set(items) | ast.Dict(items) if None not in items:
            return _all_literal([item for item in items if item], known, frozenset)
        case ast.Call(ast.Name("frozenset" | "set"), [argument], []):
            inner = _literal(argument, known)
            return _frozen(inner) if isinstance(inner, tuple | frozenset) else NOTHING
        case ast.Call(ast.Name("tuple" | "list"), [argument], []):
            inner = _literal(argument, known)
            return inner if isinstance(inner, tuple) else NOTHING
        case ast.Call(ast.Attribute(ast.Name("re"), "compile"), [ast.Constant(str() as pattern)], []):
            return _compiled(pattern)
        case _:
            return NOTHING


def _all_literal(items: Iterable[ast.expr], known: Mapping[str, Const], kind: Any) -> Any:
    values = [_literal(each, known) for each in items]
    if any(value is NOTHING for value in values):
        return NOTHING
    return _frozen(values) if kind is frozenset else kind(values)


def _frozen(values: Iterable[Any]) -> Any:
    try:
        return frozenset(values)
    except TypeError:
        return NOTHING


def _compiled(pattern: str) -> Any:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return NOTHING


def _is_flat(value: Any) -> bool:
    """Whether nothing inside could be taken out and changed."""
    return not isinstance(value, tuple | frozenset) or not any(isinstance(item, tuple | frozenset) for item in value)


def _is_mutable(node: ast.expr) -> bool:
    match node:
        case ast.List() | ast.Set() | ast.Dict() | ast.Call(ast.Name("set" | "list")):
            return True
        case ast.Tuple(items):
            return any(map(_is_mutable, items))
        case _:
            return False
