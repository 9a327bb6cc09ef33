"""What a module's names stand for: constants that nothing changes, functions, and modules that were imported whole."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from trapline.detection.inference.literals import Literals
from trapline.detection.inference.values import Const, is_mutable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HELPERS = "trapline_sandbox.helpers"
HARMLESS = _words(
    "abc base64 binascii bisect calendar collections collections.abc copy csv dataclasses datetime decimal "
    "difflib enum fnmatch fractions functools hashlib heapq hmac html ipaddress itertools json math operator re "
    "shlex statistics string struct textwrap time types typing unicodedata urllib urllib.parse uuid zlib "
    "trapline_sandbox __future__"
) | {HELPERS}
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


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function, with the names that it looks up: those of the module that defines it."""

    node: ast.FunctionDef
    names: Names


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What the names of a module stand for, as far as each is bound once and for all.

    `file` is the module's path, empty for the script. `inner` are the modules of the detection's own that it imports
    whole, as it has them: `lib.cloudtrail`, or the name that it gives it.
    """

    file: str = ""
    constants: Mapping[str, Const] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    """Functions of `trapline_sandbox.helpers`, by their names here."""
    inner: Mapping[str, Names] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    """Every name that is bound at the top, which hides a builtin of that name."""
    kept: frozenset[str] = frozenset()
    """Those that stand for what may change from one record to the next: all but constants, functions and HARMLESS."""

    def own(self, name: str) -> Function | None:
        """A function that the module defines itself."""
        found = self.functions.get(name)
        return found if found and found.names is self else None

    def meaning(self, node: ast.expr) -> Const | Function | None:
        """What an expression such as `lib.cloudtrail.who` stands for, where no local name hides it."""
        match node:
            case ast.Name(name):
                return self.constants.get(name) or self.functions.get(name)
            case ast.Attribute(holder, name) if (module := self.inner.get(spelled(holder))) is not None:
                return module.constants.get(name) or module.functions.get(name)
            case _:
                return None


Imported = tuple[str, Names, str]
"""How a module spells what it imports, the module that this is from, and its name there: empty for all of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """The tree of a module with what is told from its nodes: whether any `reaches_anything`, the names that they bind,
    those whose values are only looked into, and the attributes that they ask for."""

    tree: ast.Module
    nodes: Sequence[ast.AST]
    reaches_anything: bool
    bound: frozenset[str]
    looked_into: frozenset[str]
    attributes: frozenset[str]

    @classmethod
    def of(cls, tree: ast.Module) -> Module:
        nodes = list(ast.walk(tree))
        return cls(
            tree,
            nodes,
            any(map(_reaches_anything, nodes)),
            frozenset(name for node in nodes for name in bound_by(node)),
            _only_looked_into(nodes),
            frozenset(node.attr for node in nodes if isinstance(node, ast.Attribute)),
        )


def names_of(
    module: Module, file: str, imported: Sequence[Imported], *, touched: Container[str], rebound: Set[str]
) -> Names:
    """Those of a module in which nothing reaches anything.

    `touched` are the names of what may be changed, if it can be, by whoever has the module; `rebound` are names that
    may come to stand for something else.
    """
    tree = module.tree
    declared = {name for node in module.nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    times = Counter(name for _, name in _bindings(tree.body))
    once = {name for name, count in times.items() if count == 1} - declared - rebound
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    whole = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names if not alias.asname}
    given = [(spelling, names, name) for spelling, names, name in imported if spelling.split(".")[0] in once]
    modules = (whole & once) - {spelling for spelling, _, _ in given}
    literals = Literals(frozenset(times) - modules, has_re="re" in modules)

    def know(name: str, value: Const | None) -> None:
        # what is mutable may be changed wherever it is not merely looked into
        if value is not None and (not is_mutable(value) or (name in module.looked_into and name not in touched)):
            literals.known[name] = value

    for spelling, names, name in given:
        know(spelling, names.constants.get(name))
    for statement in tree.body:
        target, value = _assignment(statement)
        if isinstance(target, ast.Name) and target.id in once and value is not None:
            know(target.id, literals.value(value))
    functions = {spelling: names.functions[name] for spelling, names, name in given if name in names.functions}
    helpers = {name: helper for node in imports for name, helper in _helpers(node) if name in once}
    helpers |= {spelling: names.helpers[name] for spelling, names, name in given if name in names.helpers}
    others = {name for node in imports if not is_harmless_import(node) for a in node.names for name in bound_by(a)}
    harmless = ({name for node in imports for name in _harmless(node)} & once) - others
    kept = times.keys() - literals.known.keys() - functions.keys() - harmless - helpers.keys()
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in once}
    found = Names(
        file,
        literals.known,
        functions,
        helpers,
        {spelling: names for spelling, names, name in given if not name},
        frozenset(modules),
        frozenset(times),
        frozenset(kept - defined.keys()),
    )
    functions.update({name: Function(node, found) for name, node in defined.items()})
    return found


def _bindings(body: Iterable[ast.AST]) -> set[tuple[object, str]]:
    """The names that are bound, with where: `import lib.a` and `import lib.b` bind `lib` to the same."""
    return {
        (None if isinstance(node, ast.alias) and node.asname is None and "." in node.name else node, name)
        for node in _in_scope(body)
        for name in bound_by(node)
    }


def spelled(node: ast.AST) -> str:
    """A name, or names with dots between them; empty for anything else."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(holder, name) if before := spelled(holder):
            return f"{before}.{name}"
        case _:
            return ""


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
    """The same, of these nodes alone."""
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
        case ast.Call(ast.Attribute(holder, name)) if name in _LOOKING:
            places = [holder]
    yield from (place.id for place in places if isinstance(place, ast.Name))


_LOOK_ONLY = _words("tuple list set frozenset len any all sorted bool str")
_LOOKING = _words("get keys values items index count intersection union difference isdisjoint issubset issuperset copy")


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
    """Whether with this its module may change what names stand for, in ways that cannot be seen."""
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


def _helpers(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The helpers that an import binds, by the names that it gives them."""
    if isinstance(statement, ast.ImportFrom) and statement.module == HELPERS and not statement.level:
        yield from ((alias.asname or alias.name, alias.name) for alias in statement.names)


def _assignment(statement: ast.stmt) -> tuple[ast.expr | None, ast.expr | None]:
    match statement:
        case ast.Assign([target], value) | ast.AnnAssign(target, _, value):
            return target, value
        case _:
            return None, None
