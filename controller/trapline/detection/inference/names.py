"""What a module's names stand for: constants that nothing changes, functions, and modules that were imported whole."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trapline.detection.inference.literals import Literals
from trapline.detection.inference.values import Const, is_mutable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HARMLESS = _words(
    "abc base64 binascii bisect calendar collections collections.abc copy csv dataclasses datetime decimal "
    "difflib enum fnmatch fractions functools hashlib heapq hmac html ipaddress itertools json math operator re "
    "shlex statistics string struct textwrap time types typing unicodedata urllib urllib.parse uuid zlib "
    "trapline_sandbox __future__"
)
"""Modules that have nothing to remember from one record to the next."""
_REACHES_ANYTHING = _words(
    "globals locals vars exec eval compile setattr delattr __import__ __builtins__ __loader__ __spec__"
)
"""Names with which a module can change what its other names stand for, out of sight."""
_MODULES_THAT_DO = _words("builtins ctypes detect detection gc importlib imp inspect pkgutil runpy unittest __main__")
_INSIDES = _words(
    "__dict__ __globals__ __code__ __closure__ __defaults__ __kwdefaults__ __setattr__ __delattr__ __builtins__ "
    "modules f_globals f_locals f_builtins gi_frame tb_frame"
)


@dataclass(frozen=True, slots=True)
class Names:
    """What the names of a module stand for, as far as each is bound once and for all."""

    constants: Mapping[str, Const]
    functions: Mapping[str, ast.FunctionDef]
    modules: frozenset[str]
    bound: frozenset[str]
    """Every name that is bound at the top, which hides a builtin of that name."""
    kept: frozenset[str]
    """Those that stand for what may change from one record to the next: all but constants, functions and HARMLESS."""


def names_of(tree: ast.Module) -> Names | None:
    """None where the module may change its own names in ways that cannot be seen."""
    nodes = list(ast.walk(tree))
    if any(map(_reaches_anything, nodes)):
        return None
    declared = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    times = Counter(name for statement in _in_scope(tree.body) for name in bound_by(statement))
    once = {name for name, count in times.items() if count == 1} - declared
    untouched = _only_looked_into(nodes) - {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    whole = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names if not alias.asname}
    modules = whole & once
    literals = Literals(frozenset(times) - modules, has_re="re" in modules)
    for statement in tree.body:
        target, value = _assignment(statement)
        if isinstance(target, ast.Name) and target.id in once and value is not None:
            found = literals.value(value)
            # what is mutable may be changed wherever it is not merely looked into
            if found is not None and (target.id in untouched or not is_mutable(found)):
                literals.known[target.id] = found
    constants = literals.known
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in once}
    harmless = {name for node in imports for name in _harmless(node)} & once
    kept = times.keys() - constants.keys() - functions.keys() - harmless
    return Names(constants, functions, frozenset(modules), frozenset(times), frozenset(kept))


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
    bound = (name for node in _in_scope(function.body) for name in bound_by(node))
    return frozenset(parameters_of(function)) | frozenset(bound)


def parameters_of(function: ast.FunctionDef) -> list[str]:
    """The names of all parameters."""
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
    return [each.arg for each in named]


def looked_into(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The names in these statements whose values are looked into wherever they are used: nothing else could hold on to
    what they stand for, or change it."""
    return _only_looked_into(list(dict.fromkeys(inner for node in nodes for inner in ast.walk(node))))


def _only_looked_into(nodes: Sequence[ast.AST]) -> frozenset[str]:
    bound = {name for node in nodes for name in bound_by(node)} | {n.arg for n in nodes if isinstance(n, ast.arg)}
    used = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    looked = Counter(name for node in nodes for name in _looked_into(node, bound))
    return frozenset(name for name in {*bound, *used} if used[name] == looked[name])


def _looked_into(node: ast.AST, bound: Iterable[str]) -> Iterator[str]:
    """A name for each place where what it stands for is looked into, and nothing could keep or change it."""
    places: list[ast.expr] = []
    match node:
        case ast.Compare(_, ops, comparators):
            places = [right for op, right in zip(ops, comparators, strict=True) if isinstance(op, ast.In | ast.NotIn)]
        case ast.For(iter=over) | ast.comprehension(iter=over):
            places = [over]
        case ast.If(test=asked) | ast.IfExp(test=asked) | ast.UnaryOp(ast.Not(), asked):
            places = [asked]
        case ast.Starred(several, ast.Load()):
            places = [several]
        case ast.Call(ast.Name(name), [argument], []) if name in _LOOK_ONLY and name not in bound:
            places = [argument]
        case ast.Subscript(holder, ctx=ast.Load()):
            places = [holder]
        case ast.Call(ast.Attribute(holder, "get" | "keys" | "values" | "items" | "index" | "count")):
            places = [holder]
    yield from (place.id for place in places if isinstance(place, ast.Name))


_LOOK_ONLY = frozenset({"tuple", "list", "set", "frozenset", "len", "any", "all", "sorted", "bool", "str"})


def _in_scope(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a block that belong to its own scope: a function or class within is only bound there."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            inside = node.body if isinstance(node.body, list) else [node.body]
            yield from _in_scope(child for child in ast.iter_child_nodes(node) if child not in inside)
        else:
            yield from _in_scope(ast.iter_child_nodes(node))


def _reaches_anything(node: ast.AST) -> bool:
    match node:
        case ast.Name(name):
            return name in _REACHES_ANYTHING
        case ast.Attribute(holder, _, ast.Store() | ast.Del()):
            # it may replace a function of a module; an object's own attributes are its own affair
            return not (isinstance(holder, ast.Name) and holder.id == "self")
        case ast.Attribute(_, attribute):
            return attribute in _INSIDES
        case ast.Import(names):
            return any(alias.name.split(".")[0] in _MODULES_THAT_DO for alias in names)
        case ast.ImportFrom(module, names):
            return (module or "").split(".")[0] in _MODULES_THAT_DO or any(alias.name == "*" for alias in names)
        case _:
            return False


def is_harmless_import(statement: ast.Import | ast.ImportFrom) -> bool:
    """Whether it is of HARMLESS modules alone."""
    if isinstance(statement, ast.ImportFrom):
        return statement.level == 0 and statement.module in HARMLESS
    return all(alias.name in HARMLESS for alias in statement.names)


def _harmless(statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The names that an import binds, and that have nothing to remember."""
    for alias in statement.names:
        module = alias.name if isinstance(statement, ast.Import) else statement.module
        if module in HARMLESS and not (isinstance(statement, ast.ImportFrom) and statement.level):
            yield from bound_by(alias)


def _assignment(statement: ast.stmt) -> tuple[ast.expr | None, ast.expr | None]:
    match statement:
        case ast.Assign([target], value) | ast.AnnAssign(target, _, value):
            return target, value
        case _:
            return None, None
