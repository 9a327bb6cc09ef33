"""The statements of a rule, and its functions: the ways through them, and under which condition each is taken."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from trapline.detection.inference.calls import Calls, is_set, items_of
from trapline.detection.inference.cases import SUBJECT, as_ifs
from trapline.detection.inference.flow import Exit, TooMuch, shown
from trapline.detection.inference.names import Function, Names, bound_by, is_harmless_import, locals_of, looked_into
from trapline.detection.inference.predicate import FALSE, TRUE, Predicate, some
from trapline.detection.inference.values import (
    LOST,
    Choice,
    Const,
    Foreign,
    Gap,
    Lost,
    Row,
    Settled,
    Value,
    chosen,
    is_mutable,
)
from trapline.detection.inference.ways import Env, Way, become, merged

DEEPEST_CALL = 8
_ALL = frozenset({"Exception", "BaseException"})
_USUAL = frozenset({"TypeError", "AttributeError", "KeyError"})
"""What an operation that is understood may raise."""


@dataclass(slots=True)
class _Loop:
    """A loop that is being followed: the ways that leave it, and that go on with its next round."""

    breaks: list[Way] = field(default_factory=list)
    continues: list[Way] = field(default_factory=list)


@dataclass(slots=True)
class _Frame:
    """A function that is being followed: the names of its module, its local names, those of them that are only looked
    into, and what it returned so far, each under its condition."""

    names: Names
    locals: frozenset[str]
    looked_into: frozenset[str]
    returned: list[tuple[Predicate, Value]] = field(default_factory=list)
    loops: list[_Loop] = field(default_factory=list)


class Statements(Calls):
    """Follows functions, statement by statement."""

    def __init__(self) -> None:
        super().__init__()
        self._frames: list[_Frame] = []
        self._looked: dict[ast.FunctionDef, frozenset[str]] = {}

    @property
    def names(self) -> Names:
        return self._frames[-1].names

    def call(self, called: Function, arguments: Sequence[Value], named: Mapping[str, Value]) -> Value | None:
        """Follows a call of a function of the detection; None where that cannot be done."""
        function = called.node
        env = _parameters(function, arguments, named)
        if env is None or len(self._frames) >= DEEPEST_CALL:
            return None
        frame = _Frame(called.names, locals_of(function), self._looked_into(function))
        if any(is_mutable(value) and name not in frame.looked_into for name, value in env.items()):
            return None
        with self._within(frame):
            end = self._block(function.body, env, TRUE)
        return chosen([*frame.returned, (end, Const(None))]) if frame.returned or end != FALSE else LOST

    def matches(self, value: Value) -> Predicate:
        """When what `detect` gives may be true."""
        cases = value.cases if isinstance(value, Choice) and value.truth is None else ((TRUE, value),)
        return some(*(self._matches(where, each) for where, each in cases))

    def _matches(self, where: Predicate, value: Value) -> Predicate:
        try:
            with self.only_where(where):
                return self.every((where, self.truth(value).true))
        except TooMuch as error:
            self.gaps[Gap(0, str(error))] = None
            return where

    def _looked_into(self, function: ast.FunctionDef) -> frozenset[str]:
        if function not in self._looked:
            self._looked[function] = looked_into(function.body)
        return self._looked[function]

    @contextmanager
    def _within(self, frame: _Frame) -> Iterator[None]:
        caller = self.file
        self._frames.append(frame)
        self.file = frame.names.file
        try:
            yield
        finally:
            self._frames.pop()
            self.file = caller

    def is_local(self, name: str) -> bool:
        return name in self._frames[-1].locals

    def _block(self, body: Sequence[ast.stmt], env: Env, here: Predicate) -> Predicate:
        """Follows statements that are reached where `here` holds; gives where their end may be reached."""
        for statement in body:
            if here == FALSE:
                break
            try:
                here = self._statement(statement, env, here)
            except TooMuch as error:
                here = self._give_up(statement, here, str(error))
        return here

    def _give_up(self, statement: ast.stmt, here: Predicate, reason: str) -> Predicate:
        """What comes after it is reached only where the predicate holds already."""
        with self.only_where(here):
            self.lost(statement, reason)
        return FALSE

    def _statement(self, statement: ast.stmt, env: Env, here: Predicate) -> Predicate:
        match statement:
            case ast.If():
                return self._if(statement, env, here)
            case ast.For():
                return self._for(statement, env, here)
            case ast.Match(subject) if (ifs := as_ifs(statement)) is not None:
                with self.only_where(here):
                    env[SUBJECT] = self.value(subject, env)
                return self._if(ifs, env, here)
            case ast.Try(finalbody=[]):
                return self._try(statement, env, here)
            case ast.Break() | ast.Continue() if self._frames[-1].loops:
                loop = self._frames[-1].loops[-1]
                (loop.breaks if isinstance(statement, ast.Break) else loop.continues).append((here, dict(env)))
                return FALSE
            case ast.Assert(test):
                with self.only_where(here):
                    truth, yes, _ = self.branches(test, env)
                    self.may_raise(truth.false, usual=False)
                become(env, yes)
                return self.every((here, truth.true))
        with self.only_where(here):
            return here if self._plain(statement, env, here) else FALSE

    def _plain(self, statement: ast.stmt, env: Env, here: Predicate) -> bool:
        """Follows a statement that has no others inside; gives whether the next one is reached."""
        match statement:
            case ast.Return(value):
                self._frames[-1].returned.append((here, Const(None) if value is None else self.value(value, env)))
                return False
            case ast.Raise():
                self.may_raise(TRUE, usual=False)
                return False
            case ast.Assign(targets, value):
                return self._assignment(targets, value, env)
            case ast.AnnAssign(ast.Name() as target, _, value):
                return value is None or self._assignment([target], value, env)
            case ast.AugAssign(ast.Name(name) as target, op, value):
                before = self.value(ast.copy_location(ast.Name(name, ast.Load()), target), env)
                self.assign(target, self.added(op, before, self.value(value, env), statement), env)
            case ast.Expr(value):
                return self.value(value, env) is not LOST
            case ast.Import() | ast.ImportFrom() if is_harmless_import(statement):
                self._import(statement, env)
            case ast.Pass():
                pass
            case _:
                self.lost(statement, f"`{shown(statement)}` is not followed")
                return False
        return True

    def _import(self, statement: ast.Import | ast.ImportFrom, env: Env) -> None:
        for alias in statement.names:
            for name in bound_by(alias):
                module = alias.name if isinstance(statement, ast.Import) and alias.asname is None else ""
                env[name] = Foreign(self.at(statement, f"`{name}` is not known"), module)

    # Names

    def _assignment(self, targets: Sequence[ast.expr], node: ast.expr, env: Env) -> bool:
        value = self.value(node, env)
        for target in targets:
            self.assign(target, value, env)
        return value is not LOST

    def assign(self, target: ast.expr, value: Value, env: Env) -> None:
        match target:
            case ast.Name(name):
                if is_mutable(value) and name not in self._frames[-1].looked_into:
                    value = Foreign(self.at(target, f"`{name}` may be changed after it is made"))
                env[name] = value
            case ast.Tuple(elts) if (items := _unpacked(value, elts)) is not None:
                for each, item in zip(elts, items, strict=True):
                    self.assign(each, item, env)
            case _:
                for name in (name for node in ast.walk(target) for name in bound_by(node)):
                    env[name] = LOST
                if value is not LOST:
                    self.lost(target, f"`{shown(target)}` is not followed")

    # Statements that have others inside

    def _if(self, statement: ast.If, env: Env, here: Predicate) -> Predicate:
        with self.only_where(here):
            truth, then, other = self.branches(statement.test, env)
        then, other = dict(then), dict(other)
        yes, no = self.every((here, truth.true)), self.every((here, truth.false))
        after_yes, after_no = self._block(statement.body, then, yes), self._block(statement.orelse, other, no)
        become(env, merged([(after_yes, then), (after_no, other)]))
        # where neither branch leaves the function, it goes on as before
        return here if (after_yes, after_no) == (yes, no) else self.some((after_yes, after_no))

    def _for(self, statement: ast.For, env: Env, here: Predicate) -> Predicate:
        """A loop over constants, or a row, written out."""
        with self.only_where(here):
            over = self.iterated(statement.iter, env)
        return self._for_each(over, statement, env, here)

    def _for_each(self, over: Value, statement: ast.For, env: Env, here: Predicate) -> Predicate:
        match over:
            case Choice(cases):
                ways = [(self.every((here, where)), dict(env)) for where, _ in cases]
                pairs = [(each, way) for (_, each), way in zip(cases, ways, strict=True) if way[0] != FALSE]
                ways = [(self._for_each(each, statement, inner, there), inner) for each, (there, inner) in pairs]
                return self._meet(env, ways)
            case Settled(inner, _):
                return self._for_each(inner, statement, env, here)
        items = None if is_set(over) else items_of(over)
        if items is None:
            return FALSE if over is LOST else self._give_up(statement, here, f"`{shown(statement)}` is not followed")
        with self._loop() as loop:
            for item in items:
                with self.only_where(here):
                    self.assign(statement.target, item, env)
                here = self._block(statement.body, env, here)
                here = self._meet(env, [(here, env), *loop.continues])
                loop.continues.clear()
        here = self._block(statement.orelse, env, here)
        return self._meet(env, [(here, env), *loop.breaks])

    @contextmanager
    def _loop(self) -> Iterator[_Loop]:
        loops = self._frames[-1].loops
        loops.append(_Loop())
        try:
            yield loops[-1]
        finally:
            loops.pop()

    def _meet(self, env: Env, ways: Sequence[Way]) -> Predicate:
        if ways:
            become(env, merged(ways))
        return self.some(where for where, _ in ways)

    def _try(self, statement: ast.Try, env: Env, here: Predicate) -> Predicate:
        """What is caught goes on in the handler, if there is one for all that is understood to be raised. All else that
        may be raised is taken to leave the rule."""
        before = dict(env)
        with self.apart() as exits:
            after = self._block(statement.body, env, here)
        caught = [each.where for each in exits if each.usual]
        handler = _handler(statement, self.names.bound) if caught else None
        beyond = [each for each in exits if not (each.usual and handler)]
        self.exits += [Exit(each.where, usual=False) for each in beyond] if statement.handlers else beyond
        if exits:
            self.gap(statement.handlers[0] if statement.handlers else statement, "what is raised is only roughly known")
        after = self._block(statement.orelse, env, after)
        if handler is None:
            return after
        changed = {name for each in statement.body for node in ast.walk(each) for name in bound_by(node)}
        other = {name: value for name, value in before.items() if name not in changed}
        if handler.name:
            other[handler.name] = Foreign(self.at(handler, f"`{handler.name}` is not known"))
        after_caught = self._block(handler.body, other, self.some(caught))
        return self._meet(env, [(after, env), (after_caught, other)])


def _parameters(function: ast.FunctionDef, arguments: Sequence[Value], named: Mapping[str, Value]) -> Env | None:
    """The names that a call binds; None where it is no plain call of a plain function."""
    spec = function.args
    if function.decorator_list or spec.kwarg:
        return None
    if any(isinstance(node, ast.Yield | ast.YieldFrom | ast.Await) for node in ast.walk(function)):
        return None
    positional = [each.arg for each in (*spec.posonlyargs, *spec.args)]
    by_name = [each.arg for each in (*spec.args, *spec.kwonlyargs)]
    env = dict(zip(positional, arguments, strict=False))
    if set(named) - set(by_name) or set(named) & set(env):
        return None
    env.update(named)
    defaults = [*zip(reversed(positional), reversed(spec.defaults), strict=False)]
    for name, default in (*defaults, *zip((each.arg for each in spec.kwonlyargs), spec.kw_defaults, strict=True)):
        if name not in env and isinstance(default, ast.Constant):
            env[name] = Const(default.value)
    if len(env) < len({*positional, *by_name}):
        return None
    others = tuple(arguments[len(positional) :])
    if spec.vararg:
        constants = tuple(each.value for each in others if isinstance(each, Const) and not is_mutable(each))
        env[spec.vararg.arg] = Const(constants) if len(constants) == len(others) else Row(others)
    return None if others and not spec.vararg else env


def _unpacked(value: Value, targets: Sequence[ast.expr]) -> Sequence[Value] | None:
    match value:
        case Lost():
            items: Sequence[Value] = [LOST] * len(targets)
        case Row(items):
            pass
        case Const(tuple() | list() as constants):
            items = [Const(each) for each in constants]
        case _:
            return None
    starred = any(isinstance(target, ast.Starred) for target in targets)
    return items if len(items) == len(targets) and not starred else None


def _handler(statement: ast.Try, bound: Container[str]) -> ast.ExceptHandler | None:
    """The one handler that catches everything that an operation may raise; None where there are others."""
    match statement.handlers:
        case [ast.ExceptHandler(None) as handler]:
            return handler
        case [ast.ExceptHandler(ast.Tuple(several)) as handler]:
            caught = {each.id for each in several if isinstance(each, ast.Name) and each.id not in bound}
            return handler if caught >= _USUAL or caught & _ALL else None
        case [ast.ExceptHandler(ast.Name(name)) as handler] if name in _ALL and name not in bound:
            return handler
        case _:
            return None
