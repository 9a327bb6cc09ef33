"""Predicate inference: from a rule's Python, a predicate that holds for every record that it has anything to say of.

An abstract interpretation of `detect`. It follows the paths through the function, each with the condition under which
it is taken, up to where it

* returns something that may be true,
* may raise, or
* does something that is not understood.

The predicate is the union of these conditions. So leaving out a record for which it does not hold loses no match and
no failure, and nothing that is not understood can make it too narrow: its path is in the union already.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from trapline.detection.inference import operations
from trapline.detection.inference.names import Names, bound_by, locals_of, names_of
from trapline.detection.inference.predicate import FALSE, TRUE, Predicate, atoms, every, some
from trapline.detection.inference.values import (
    ROOT,
    Choice,
    Const,
    Field,
    Gap,
    Known,
    Opaque,
    Settled,
    Truth,
    Value,
    is_written,
    when,
)

MOST_STEPS = 5_000
MOST_ATOMS = 300
DEEPEST_CALL = 8
LONGEST_LOOP = 200

Env = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Inferred:
    """No record for which the predicate does not hold matches, or makes the rule raise. `gaps` say what was not
    understood; without any, it holds for no other record either."""

    predicate: Predicate
    gaps: tuple[Gap, ...]


class _TooMuch(Exception):
    """The rule is larger than what is worth following."""


def infer(source: bytes | str, *, function: str = "detect") -> Inferred:
    """The predicate of a script's `detect(record)`. Never raises: what cannot be followed may be true."""
    try:
        tree = ast.parse(source)
        names = names_of(tree)
        if names is None:
            return _nothing_known("the script may change what its own names stand for")
        return _Interpreter(names).run(function)
    except _TooMuch as error:
        return _nothing_known(str(error))
    except (RecursionError, MemoryError):
        return _nothing_known("it is nested too deeply to be followed")
    except (SyntaxError, ValueError) as error:
        return _nothing_known(f"it is not valid Python: {error}")


def _nothing_known(reason: str) -> Inferred:
    return Inferred(TRUE, (Gap(0, reason),))


@dataclass(slots=True)
class _Frame:
    """A function that is being followed: what it returned so far, each under its condition, and its local names."""

    locals: frozenset[str]
    returned: list[tuple[Predicate, Value]] = field(default_factory=list)


class _Interpreter:
    def __init__(self, names: Names) -> None:
        self._names = names
        self._gaps: dict[Gap, None] = {}
        self._raises: list[Predicate] = []
        self._frames: list[_Frame] = []
        self._certain: set[int] = set()
        self._steps = 0

    def run(self, name: str) -> Inferred:
        function = self._names.functions.get(name)
        if function is None:
            return _nothing_known(f"the script does not define one plain function {name}")
        value = self._call(function, [Field(ROOT)], {})
        if value is None:
            return _nothing_known(f"{name} is no plain function of one record")
        predicate = some(self._true(value), *self._raises)
        return Inferred(predicate, tuple(sorted(self._gaps, key=lambda gap: (gap.line, gap.reason))))

    # When a value may be true, and when it may be false

    def _true(self, value: Value) -> Predicate:
        return self._truth(value).true

    def _false(self, value: Value) -> Predicate:
        return self._truth(value).false

    def _truth(self, value: Value) -> Truth:
        match value:
            case Const(constant):
                return Truth(TRUE, FALSE) if constant else Truth(FALSE, TRUE)
            case Field(path=()):
                return Truth(TRUE, FALSE)  # a record has columns
            case Field():
                return Truth(when(value, "truthy"), when(value, "truthy", outcome="false"))
            case Truth():
                return value
            case Choice(truth=Truth() as truth):
                return truth
            case Choice(cases):
                truths = [(where, self._truth(each)) for where, each in cases]
                return Truth(
                    self._some(every(where, each.true) for where, each in truths),
                    self._some(every(where, each.false) for where, each in truths),
                )
            case Settled(_, is_true):
                return Truth(TRUE, FALSE) if is_true else Truth(FALSE, TRUE)
            case Opaque(gap):
                self._gaps[gap] = None
                return Truth(TRUE, TRUE)

    def _some(self, parts: Iterable[Predicate]) -> Predicate:
        return self._small(some(*parts))

    def _small(self, predicate: Predicate) -> Predicate:
        if sum(1 for _ in islice(atoms(predicate), MOST_ATOMS + 1)) > MOST_ATOMS:
            raise _TooMuch("it has too many cases to be followed")
        return predicate

    # Statements

    def _block(self, body: Sequence[ast.stmt], env: Env, here: Predicate) -> Predicate:
        """Follows statements that are reached where `here` holds; gives where their end may be reached."""
        for statement in body:
            if here == FALSE:
                break
            here = self._statement(statement, env, here)
        return here

    def _statement(self, statement: ast.stmt, env: Env, here: Predicate) -> Predicate:
        match statement:
            case ast.If():
                return self._if(statement, env, here)
            case ast.For() if not any(isinstance(node, ast.Break | ast.Continue) for node in ast.walk(statement)):
                return self._for(statement, env, here)
        with self._only_where(here):
            match statement:
                case ast.Return(value):
                    given = Const(None) if value is None else self._whole(value, env)
                    self._frames[-1].returned.append((here, given))
                    return FALSE
                case ast.Assign(targets, value):
                    self._assign(targets, self._whole(value, env), env)
                case ast.AnnAssign(ast.Name() as target, _, value):
                    if value is not None:
                        self._assign([target], self._whole(value, env), env)
                case ast.AugAssign(ast.Name(name) as target, op, value):
                    before = self._value(ast.copy_location(ast.Name(name, ast.Load()), target), env)
                    self._assign([target], self._added(op, before, self._whole(value, env), statement), env)
                case ast.Expr(value):
                    self._whole(value, env)
                case ast.Assert(test):
                    truth = self._truth(self._whole(test, env))
                    self._raises.append(truth.false)
                    return self._small(every(here, truth.true))
                case ast.Import(names) if all(alias.name in sys.stdlib_module_names for alias in names):
                    self._forget(statement, env)
                case ast.Pass():
                    pass
                case _:
                    self._lost(statement, f"`{_shown(statement)}` is not followed")
                    return FALSE  # what comes after it is reached only where the predicate holds already
        return here

    def _if(self, statement: ast.If, env: Env, here: Predicate) -> Predicate:
        with self._only_where(here):
            truth = self._truth(self._whole(statement.test, env))
        yes, no = self._small(every(here, truth.true)), self._small(every(here, truth.false))
        other = dict(env)
        after_yes, after_no = self._block(statement.body, env, yes), self._block(statement.orelse, other, no)
        if after_yes == FALSE:
            env.clear()
            env.update(other)
            return after_no
        if after_no == FALSE:
            return after_yes
        self._join(env, after_yes, other, after_no)
        # where neither branch leaves the function, it goes on as before
        return here if (after_yes, after_no) == (yes, no) else self._some((after_yes, after_no))

    def _join(self, env: Env, where: Predicate, other: Env, elsewhere: Predicate) -> None:
        """What the names are after two branches; one that only one of them binds may be unbound."""
        for name in {*env, *other}:
            if name not in env or name not in other:
                env.pop(name, None)
            elif env[name] != other[name]:
                env[name] = Choice(((where, env[name]), (elsewhere, other[name])))

    def _for(self, loop: ast.For, env: Env, here: Predicate) -> Predicate:
        """A loop over constants, written out."""
        with self._only_where(here):
            items = self._items(self._whole(loop.iter, env))
            if items is None:
                self._lost(loop, f"`{_shown(loop)}` is not followed")
                return FALSE
        for item in items:
            with self._only_where(here):
                self._assign([loop.target], item, env)
            here = self._block(loop.body, env, here)
        return self._block(loop.orelse, env, here)

    def _assign(self, targets: Sequence[ast.expr], value: Value, env: Env) -> None:
        for target in targets:
            match target:
                case ast.Name(name):
                    unknown = Opaque(Gap(target.lineno, f"`{name}` may be changed after it is made"))
                    env[name] = unknown if is_written(value) else value
                case ast.Tuple(elts) if isinstance(value, Const) and _is_row(value, elts):
                    for each, item in zip(elts, value.value, strict=True):
                        self._assign([each], Const(item), env)
                case _:
                    self._lost(target, f"`{_shown(target)}` is not followed")
                    self._forget(target, env)

    def _forget(self, node: ast.AST, env: Env) -> None:
        """Nothing is known any more of the names that this binds."""
        for inner in ast.walk(node):
            for name in bound_by(inner):
                env[name] = Opaque(Gap(getattr(node, "lineno", 0), f"`{name}` is not known"))

    # Expressions

    def _whole(self, node: ast.expr, env: Env) -> Value:
        """The value of an expression that stands by itself."""
        outer, self._certain = self._certain, set(map(id, _surely_evaluated(node)))
        value = self._value(node, env)
        self._certain = outer
        return value

    def _value(self, node: ast.expr, env: Env) -> Value:
        self._step()
        handler = _EXPRESSIONS.get(type(node))
        value = handler(self, node, env) if handler else None
        return self._lost(node, f"`{_shown(node)}` is not understood") if value is None else value

    def _constant(self, node: ast.Constant, env: Env) -> Value:
        return Const(node.value)

    def _name(self, node: ast.Name, env: Env) -> Value | None:
        if node.id in env:
            return env[node.id]
        if node.id in self._frames[-1].locals:
            return None  # it may not be bound
        if node.id in self._names.constants:
            return self._names.constants[node.id]
        known = node.id in self._names.bound or node.id in _BUILTINS
        return Opaque(Gap(node.lineno, f"`{node.id}` is not known")) if known else None

    def _display(self, node: ast.Tuple | ast.List | ast.Set, env: Env) -> Value | None:
        items = [self._value(each, env) for each in node.elts]
        known = [each.value for each in items if isinstance(each, Const) and not each.written]
        if len(known) == len(items):
            if not isinstance(node, ast.Set):
                return Const(tuple(known), written=isinstance(node, ast.List))
            if all(map(operations.is_plain, known)):
                return Const(frozenset(known), written=True)
        # a list of anything is no harm; what is in a set has to be hashable
        return None if isinstance(node, ast.Set) else Opaque(Gap(node.lineno, f"`{_shown(node)}` is not known"))

    def _dict(self, node: ast.Dict, env: Env) -> Value | None:
        if not node.keys:
            return Const({}, written=True)
        keys = [self._value(key, env) for key in node.keys if key is not None]
        for value in node.values:
            self._value(value, env)
        plain = all(isinstance(key, Const) and operations.is_plain(key.value) for key in keys)
        if not plain or len(keys) < len(node.keys):
            return None
        return Opaque(Gap(node.lineno, f"`{_shown(node)}` is not known"))

    def _text(self, node: ast.JoinedStr, env: Env) -> Value | None:
        """A formatted text: not known, but nothing happens where it asks for no format."""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self._value(part.value, env)
                if part.format_spec is not None:
                    return None
        return Opaque(Gap(node.lineno, f"`{_shown(node)}` is not known"))

    def _unary(self, node: ast.UnaryOp, env: Env) -> Value | None:
        operand = self._value(node.operand, env)
        if isinstance(node.op, ast.Not):
            truth = self._truth(operand)
            return Truth(truth.false, truth.true)
        if isinstance(node.op, ast.USub) and isinstance(operand, Const) and type(operand.value) in (int, float):
            return Const(-operand.value)
        return None

    def _binary(self, node: ast.BinOp, env: Env) -> Value:
        return self._added(node.op, self._value(node.left, env), self._value(node.right, env), node)

    def _added(self, op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
        return self._each(left, node, lambda one: self._paired(right, lambda two: operations.added(op, one, two), node))

    def _bool_op(self, node: ast.BoolOp, env: Env) -> Value:
        """`a and b` is a where a is false, else b; `a or b` is a where a is true, else b."""
        is_or = isinstance(node.op, ast.Or)
        cases: list[tuple[Predicate, Value]] = []
        truths: list[Truth] = []
        here: Predicate = TRUE
        for operand in node.values:
            with self._only_where(here):
                value = self._value(operand, env)
                truth = self._truth(value)
            truths.append(truth)
            ends, goes_on = (truth.true, truth.false) if is_or else (truth.false, truth.true)
            last = len(truths) == len(node.values)
            cases.append((here, value) if last else (every(here, ends), Settled(value, is_or)))
            here = self._small(every(here, goes_on))
        trues, falses = [truth.true for truth in truths], [truth.false for truth in truths]
        if is_or:
            return Choice(tuple(cases), Truth(self._some(trues), self._small(every(*falses))))
        return Choice(tuple(cases), Truth(self._small(every(*trues)), self._some(falses)))

    def _if_exp(self, node: ast.IfExp, env: Env) -> Value:
        truth = self._truth(self._value(node.test, env))
        with self._only_where(truth.true):
            yes = self._value(node.body, env)
        with self._only_where(truth.false):
            no = self._value(node.orelse, env)
        return Choice(((truth.true, yes), (truth.false, no)))

    def _named(self, node: ast.NamedExpr, env: Env) -> Value:
        value = self._value(node.value, env)
        if id(node) in self._certain:
            self._assign([node.target], value, env)
        else:  # it may be skipped, and the name be unbound
            env.pop(node.target.id, None)
        return value

    def _compare(self, node: ast.Compare, env: Env) -> Value:
        """`a < b < c` is `a < b and b < c`."""
        values = [self._value(each, env) for each in (node.left, *node.comparators)]
        truths = []
        here: Predicate = TRUE
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            with self._only_where(here):
                truth = self._truth(self._pair(op, left, right, node))
            truths.append(truth)
            here = self._small(every(here, truth.true))
        return Truth(here, self._some(truth.false for truth in truths))

    def _pair(self, op: ast.cmpop, left: Value, right: Value, node: ast.Compare) -> Value:
        harmless = isinstance(op, ast.Eq | ast.NotEq | ast.Is | ast.IsNot)

        def compared(one: Value, two: Value) -> Known | None:
            known = operations.compared(op, one, two)
            return Known(self._unknown(node)) if known is None and harmless else known

        return self._each(left, node, lambda one: self._paired(right, lambda two: compared(one, two), node))

    def _paired(self, right: Value, of: Callable[[Value], Known | None], node: ast.AST) -> Known:
        return Known(self._each(right, node, of))

    def _subscript(self, node: ast.Subscript, env: Env) -> Value:
        holder, key = self._value(node.value, env), self._value(node.slice, env)
        return self._each(holder, node, lambda one: operations.item(one, key))

    def _attribute(self, node: ast.Attribute, env: Env) -> Value | None:
        """Only the flags of `re`, such as `re.IGNORECASE`."""
        flag = getattr(re, node.attr, None)
        return Const(flag) if self._is_module("re", node.value, env) and isinstance(flag, re.RegexFlag) else None

    def _each(self, value: Value, node: ast.AST, of: Callable[[Value], Known | None]) -> Value:
        """What becomes of a value in each of its cases."""
        self._step()
        match value:
            case Settled(inner, _):
                return self._each(inner, node, of)
            case Choice(cases):
                made = []
                for where, each in cases:
                    with self._only_where(where):
                        made.append((where, self._each(each, node, of)))
                return Choice(tuple(made))
        known = of(value)
        if known is None:
            return self._lost(node, f"`{_shown(node)}` is not understood")
        self._raises.append(known.raises)
        return self._unknown(node) if known.value == operations.SOMETHING else known.value

    # Calls

    def _called(self, node: ast.Call, env: Env) -> Value | None:
        function = node.func
        if isinstance(function, ast.Name) and self._is_builtin(function.id, env) and function.id in ("any", "all"):
            return self._any_or_all(function.id, node, env)
        arguments = [self._value(each, env) for each in node.args if not isinstance(each, ast.Starred)]
        named = {each.arg: self._value(each.value, env) for each in node.keywords if each.arg}
        if len(arguments) < len(node.args) or len(named) < len(node.keywords):
            return None
        if isinstance(function, ast.Attribute):
            return self._method(function, arguments, named, node, env)
        if not isinstance(function, ast.Name) or function.id in env or function.id in self._frames[-1].locals:
            return None
        if function.id in self._names.functions:
            return self._call(self._names.functions[function.id], arguments, named)
        if self._is_builtin(function.id, env) and not named:
            return self._builtin(function.id, arguments, node)
        return None

    def _method(
        self, function: ast.Attribute, arguments: list[Value], named: Mapping[str, Value], node: ast.Call, env: Env
    ) -> Value:
        if self._is_module("re", function.value, env):
            if len(arguments) < 2:
                return self._lost(node, f"`{_shown(node)}` is not understood")
            pattern, subject, *rest = arguments
            return self._each(
                subject, node, lambda one: operations.searched(function.attr, [pattern, one, *rest], named)
            )
        holder = self._value(function.value, env)
        if arguments and isinstance(holder, Const) and not isinstance(holder.value, str):  # a compiled pattern
            subject, *rest = arguments
            return self._each(subject, node, lambda one: operations.method(holder, function.attr, [one, *rest], named))
        return self._each(holder, node, lambda one: operations.method(one, function.attr, arguments, named))

    def _call(self, function: ast.FunctionDef, arguments: Sequence[Value], named: Mapping[str, Value]) -> Value | None:
        """A function of the same script, followed with these arguments; None where that cannot be done."""
        env = _parameters(function, arguments, named)
        if env is None or len(self._frames) >= DEEPEST_CALL:
            return None
        frame = _Frame(locals_of(function))
        self._frames.append(frame)
        end = self._block(function.body, env, TRUE)
        self._frames.pop()
        return Choice((*frame.returned, *([(end, Const(None))] if end != FALSE else [])))

    def _builtin(self, name: str, arguments: Sequence[Value], node: ast.Call) -> Value | None:
        if name == "bool" and len(arguments) == 1:
            return self._truth(arguments[0])
        harmless = name in ("str", "repr") and len(arguments) == 1
        is_instance = name == "isinstance" and len(arguments) == 2 and _names_builtin_types(node.args[1], self._names)
        return self._unknown(node) if harmless or is_instance else None

    def _any_or_all(self, name: str, node: ast.Call, env: Env) -> Value | None:
        if len(node.args) != 1 or node.keywords:
            return None
        values = self._elements(node.args[0], env)
        if values is None:
            return None
        truths = [self._truth(each) for each in values]
        trues, falses = [truth.true for truth in truths], [truth.false for truth in truths]
        if name == "any":
            return Truth(self._some(trues), self._small(every(*falses)))
        return Truth(self._small(every(*trues)), self._some(falses))

    def _elements(self, node: ast.expr, env: Env) -> list[Value] | None:
        """The values of a list, or of a generator over constants; None where they cannot be told."""
        if isinstance(node, ast.List | ast.Tuple):
            return [self._value(each, env) for each in node.elts]
        if not isinstance(node, ast.GeneratorExp | ast.ListComp) or len(node.generators) != 1:
            return None
        generator = node.generators[0]
        if generator.ifs or generator.is_async or any(isinstance(each, ast.NamedExpr) for each in ast.walk(node)):
            return None
        over = self._value(generator.iter, env)
        items = self._items(over) or self._items(over, ordered=False)
        if items is None or not isinstance(generator.target, ast.Name | ast.Tuple):
            return None
        values = []
        for item in items:
            inner = dict(env)
            self._assign([generator.target], item, inner)
            values.append(self._value(node.elt, inner))
        return values

    def _items(self, over: Value, *, ordered: bool = True) -> list[Value] | None:
        """What a loop over constants goes through."""
        kinds = tuple if ordered else (tuple, frozenset)
        if not isinstance(over, Const) or not isinstance(over.value, kinds) or len(over.value) > LONGEST_LOOP:
            return None
        return [Const(item) for item in over.value]

    def _is_builtin(self, name: str, env: Env) -> bool:
        return name in _BUILTINS and name not in {*env, *self._names.bound, *self._frames[-1].locals}

    def _is_module(self, name: str, node: ast.expr, env: Env) -> bool:
        found = isinstance(node, ast.Name) and node.id == name and name in self._names.modules
        return found and name not in env and name not in self._frames[-1].locals

    # What is not understood

    @contextmanager
    def _only_where(self, here: Predicate) -> Iterator[None]:
        """What may raise in here does so only where this holds."""
        outer, self._raises = self._raises, []
        try:
            yield
        finally:
            outer += [self._small(every(here, each)) for each in self._raises if each != FALSE]
            self._raises = outer

    def _lost(self, node: ast.AST, reason: str) -> Opaque:
        """Here the rule may do anything: raise, match, or change what comes after."""
        gap = Gap(getattr(node, "lineno", 0), reason)
        self._gaps[gap] = None
        self._raises.append(TRUE)
        return Opaque(gap)

    def _unknown(self, node: ast.AST) -> Opaque:
        """A plain value of which nothing is known; to have it does no harm."""
        return Opaque(Gap(getattr(node, "lineno", 0), f"`{_shown(node)}` is not known"))

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise _TooMuch("it is too long to be followed")


def _parameters(function: ast.FunctionDef, arguments: Sequence[Value], named: Mapping[str, Value]) -> Env | None:
    """The names that a call binds; None where it is no plain call of a plain function."""
    spec = function.args
    if function.decorator_list or spec.vararg or spec.kwarg or spec.posonlyargs or spec.kwonlyargs:
        return None
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function)):
        return None
    names = [each.arg for each in spec.args]
    env = dict(zip(names, arguments, strict=False))
    if len(arguments) > len(names) or set(named) - set(names) or set(named) & set(env):
        return None
    env.update(named)
    for name, default in zip(reversed(names), reversed(spec.defaults), strict=False):
        if name not in env and isinstance(default, ast.Constant):
            env[name] = Const(default.value)
    return env if len(env) == len(names) and not any(map(is_written, env.values())) else None


def _surely_evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression that are evaluated whenever it is."""
    yield node
    parts: Iterable[ast.AST]
    match node:
        case ast.BoolOp(values=[first, *_]) | ast.IfExp(test=first):
            parts = [first]
        case ast.Compare(left, _, [first, *_]):
            parts = [left, first]
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            parts = []
        case _:
            parts = ast.iter_child_nodes(node)
    for part in parts:
        yield from _surely_evaluated(part)


def _is_row(value: Const, targets: Sequence[ast.expr]) -> bool:
    starred = any(isinstance(target, ast.Starred) for target in targets)
    return isinstance(value.value, tuple) and len(value.value) == len(targets) and not starred


def _names_builtin_types(node: ast.expr, names: Names) -> bool:
    match node:
        case ast.Tuple(elts):
            return all(_names_builtin_types(each, names) for each in elts)
        case ast.Name(name):
            return name not in names.bound and isinstance(getattr(builtins, name, None), type)
        case _:
            return False


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node).split("\n", 1)[0]
    return text if len(text) <= 60 else f"{text[:57]}..."


_BUILTINS = frozenset(dir(builtins))
_EXPRESSIONS: Mapping[type[ast.expr], Callable[..., Value | None]] = {
    ast.Constant: _Interpreter._constant,
    ast.Name: _Interpreter._name,
    ast.Tuple: _Interpreter._display,
    ast.List: _Interpreter._display,
    ast.Set: _Interpreter._display,
    ast.Dict: _Interpreter._dict,
    ast.JoinedStr: _Interpreter._text,
    ast.UnaryOp: _Interpreter._unary,
    ast.BinOp: _Interpreter._binary,
    ast.BoolOp: _Interpreter._bool_op,
    ast.IfExp: _Interpreter._if_exp,
    ast.NamedExpr: _Interpreter._named,
    ast.Compare: _Interpreter._compare,
    ast.Subscript: _Interpreter._subscript,
    ast.Call: _Interpreter._called,
    ast.Attribute: _Interpreter._attribute,
}
