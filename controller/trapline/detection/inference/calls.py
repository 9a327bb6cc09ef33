"""Calls, and what goes through several values: comprehensions, and `any` and `all` over them."""

from __future__ import annotations

import ast
import builtins
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from trapline.detection.inference import functions, helpers, methods, operations
from trapline.detection.inference.expressions import Expressions
from trapline.detection.inference.flow import Exit, turned
from trapline.detection.inference.names import Function
from trapline.detection.inference.predicate import TRUE, Predicate
from trapline.detection.inference.values import LOST, Const, Known, Row, Truth, Value, is_harmless
from trapline.detection.inference.ways import Env

LONGEST_LOOP = 200


class Calls(Expressions):
    """Evaluates calls."""

    @abstractmethod
    def call(self, called: Function, arguments: Sequence[Value], named: Mapping[str, Value]) -> Value | None:
        """Follows a call of a function of the detection; None where that cannot be done."""

    def compound(self, node: ast.expr, env: Env) -> Value | None:
        match node:
            case ast.Call():
                return self._called(node, env)
            case ast.ListComp():
                return self._list_comp(node, env)
            case _:
                return None

    def _called(self, node: ast.Call, env: Env) -> Value | None:
        function = node.func
        if isinstance(function, ast.Name) and function.id in ("any", "all") and self.is_builtin(function.id, env):
            return self._any_or_all(node, env, is_any=function.id == "any")
        own = self.meaning(function, env)
        is_method = isinstance(function, ast.Attribute) and not own and not self.is_re(function.value, env)
        holder = self.value(function.value, env) if isinstance(function, ast.Attribute) and is_method else Const(None)
        arguments = [] if holder is LOST else self._arguments(node.args, env)
        if holder is LOST or arguments is None:
            return LOST if holder is LOST else None
        named = {each.arg: self.value(each.value, env) for each in node.keywords if each.arg}
        if LOST in arguments or LOST in named.values():
            return LOST
        if len(named) < len(node.keywords):
            return None
        match function:
            case _ if own:
                return self.call(own, arguments, named) if isinstance(own, Function) else None
            case ast.Attribute(_, name) if is_method:
                return self._method(holder, name, arguments, named, node)
            case ast.Attribute(_, "compile") if not named:
                return methods.compiled(arguments)
            case ast.Attribute(_, name) if len(arguments) > 1:
                pattern, subject, *rest = arguments
                return self.each(subject, node, lambda one: methods.searched(name, [pattern, one, *rest], named))
            case ast.Name(name) if name in env or self.is_local(name):
                return None
            case ast.Name(name) if arguments and (helper := self.names.helpers.get(name)):
                first, *others = arguments
                return self.each(first, node, lambda one: helpers.helped(helper, one, others, named))
            case ast.Name(name) if self.is_builtin(name, env) and not named:
                return self._builtin(name, arguments, node, env)
        return None

    def _arguments(self, nodes: Sequence[ast.expr], env: Env) -> list[Value] | None:
        """What a call is given by place; None where it cannot be told how much that is."""
        given: list[Value] = []
        for node in nodes:
            value = self.value(node.value if isinstance(node, ast.Starred) else node, env)
            several = items_of(value) if isinstance(node, ast.Starred) and value is not LOST else [value]
            if several is None or (isinstance(node, ast.Starred) and is_set(value)):
                return None
            given += several
        return given

    def _method(
        self, holder: Value, name: str, arguments: Sequence[Value], named: Mapping[str, Value], node: ast.Call
    ) -> Value:
        first, *rest = arguments or [Const(None)]

        def with_holder(one: Value) -> Known | None:
            if isinstance(one, Const) and arguments and not isinstance(one.value, str):  # a pattern, or a dict
                return Known(self.each(first, node, lambda two: methods.method(one, name, [two, *rest], named)))
            return methods.method(one, name, arguments, named)

        return self.each(holder, node, with_holder)

    def _builtin(self, name: str, arguments: Sequence[Value], node: ast.Call, env: Env) -> Value | None:
        match name, arguments:
            case "bool", [value]:
                return replace(self.truth(value), groups=None)
            case "isinstance", [value, _]:
                types = list(self._types(node.args[1], env))
                return self.each(value, node, lambda one: functions.is_instance(one, types)) if all(types) else None
            case "repr", [value] if is_harmless(value):
                return self.vague(node, "text")
            case _, [value] if made := functions.BUILTINS.get(name):
                return self.each(value, node, made)
            case "range", [Const(int() as length)] if 0 <= length <= LONGEST_LOOP:
                return Const(range(length))
        return None

    def _types(self, node: ast.expr, env: Env) -> Iterator[type | None]:
        """The builtin types that `isinstance` asks for; None for any other."""
        match node:
            case ast.Tuple(elts):
                for each in elts:
                    yield from self._types(each, env)
            case ast.BinOp(left, ast.BitOr(), right):
                yield from self._types(left, env)
                yield from self._types(right, env)
            case ast.Name(name) if self.is_builtin(name, env) and isinstance(getattr(builtins, name), type):
                yield getattr(builtins, name)
            case _:
                yield None

    # Several values

    def _any_or_all(self, node: ast.Call, env: Env, *, is_any: bool) -> Value | None:
        if len(node.args) != 1 or node.keywords:
            return None
        argument = node.args[0]
        if not isinstance(argument, ast.GeneratorExp):
            return self.each(self.value(argument, env), node, lambda one: self._eagerly(one, is_any=is_any))
        over = self._gone_through(argument, env)
        return over and self.each(over, node, lambda one: self._lazily(argument, one, env, is_any=is_any))

    def _eagerly(self, over: Value, *, is_any: bool) -> Known | None:
        items = items_of(over)
        return None if items is None else Known(self.joined(is_any, [self.truth(each) for each in items]))

    def _lazily(self, node: ast.GeneratorExp, over: Value, env: Env, *, is_any: bool) -> Known | None:
        """A generator is asked for one value after the other, until one decides."""
        truths: list[Truth] = []
        here: Predicate = TRUE
        each_raises: set[tuple[Exit, ...]] = set()
        scopes = self._scopes(node, over, env)
        if scopes is None:
            return None
        for scope in scopes:
            with self.apart() as exits:
                truth = self._element(node, scope, is_any=is_any)
            each_raises.add(tuple(exits))
            self.exits += [replace(each, where=self.every((here, each.where))) for each in exits]
            truths.append(truth)
            if not is_set(over):
                here = self.every((here, truth.false if is_any else truth.true))
        roughly = "the order of a set is not known" if is_set(over) and len(each_raises) > 1 else ""
        return Known(self.joined(is_any, truths), roughly=roughly)

    def _element(self, node: ast.GeneratorExp, scope: Env, *, is_any: bool) -> Truth:
        """One value of a generator: where its `if` leaves it out, it decides nothing."""
        asked: list[Truth] = []
        for test in node.generators[0].ifs:
            with self.only_where(self.every(each.true for each in asked)):
                asked.append(self.truth(self.value(test, scope)))
        with self.only_where(self.every(each.true for each in asked)):
            truth = self.truth(self.value(node.elt, scope))
        kept = [*asked, truth] if is_any else [*map(turned, asked), truth]
        return self.joined(not is_any, kept)

    def _list_comp(self, node: ast.ListComp, env: Env) -> Value | None:
        over = self._gone_through(node, env)
        return over and self.each(over, node, lambda one: self._listed(node, one, env))

    def _listed(self, node: ast.ListComp, over: Value, env: Env) -> Known | None:
        scopes = self._scopes(node, over, env)
        if scopes is None or node.generators[0].ifs or is_set(over):
            return None
        return Known(self.row([self.value(node.elt, scope) for scope in scopes], is_list=True))

    def _gone_through(self, node: ast.GeneratorExp | ast.ListComp, env: Env) -> Value | None:
        """What a comprehension goes through; None where it does more than that."""
        generator, *others = node.generators
        walrus = any(isinstance(each, ast.NamedExpr) for each in ast.walk(node))
        is_simple = not (others or generator.is_async or walrus) and _are_names(generator.target)
        return self.iterated(generator.iter, env) if is_simple else None

    def _scopes(self, node: ast.GeneratorExp | ast.ListComp, over: Value, env: Env) -> list[Env] | None:
        """The names for each item."""
        items = items_of(over)
        if items is None:
            return None
        scopes = [dict(env) for _ in items]
        for scope, item in zip(scopes, items, strict=True):
            self.assign(node.generators[0].target, item, scope)
        return scopes

    def iterated(self, node: ast.expr, env: Env) -> Value:
        """What a loop goes through: also the items of a dict of constants, by one of its methods."""
        match node:
            case ast.Call(ast.Attribute(holder, "items" | "keys" | "values" as view), [], []):
                found = self.value(holder, env)
                if isinstance(found, Const) and isinstance(found.value, dict):
                    items = tuple(getattr(found.value, view)())
                    hidden = any(operations.UNKNOWN in (item if view == "items" else (item,)) for item in items)
                    return self.not_understood(node) if hidden else Const(items)
                return LOST if found is LOST else self.not_understood(node)
        return self.value(node, env)


_MANY = (tuple, list, set, frozenset, dict, range)


def items_of(over: Value) -> list[Value] | None:
    """What one gets by going through constants, or a row; in no certain order if it is a set."""
    if isinstance(over, Row):
        return list(over.items)
    if not isinstance(over, Const) or not isinstance(over.value, _MANY) or len(over.value) > LONGEST_LOOP:
        return None
    return [Const(item) for item in (sorted(over.value, key=repr) if is_set(over) else over.value)]


def is_set(over: Value) -> bool:
    """Whether it is gone through in no certain order."""
    return isinstance(over, Const) and isinstance(over.value, set | frozenset)


def _are_names(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (isinstance(target, ast.Tuple) and all(map(_are_names, target.elts)))
