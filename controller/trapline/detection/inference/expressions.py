"""The expressions of a rule, as values: what is known of them, for every record at once."""

from __future__ import annotations

import ast
import builtins
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

from trapline.detection.inference import methods, operations
from trapline.detection.inference.flow import Flow, shown, turned
from trapline.detection.inference.names import Function, Names, spelled
from trapline.detection.inference.predicate import FALSE, TRUE, Predicate, every
from trapline.detection.inference.values import (
    LOST,
    Choice,
    Const,
    Field,
    Foreign,
    Known,
    Lost,
    Row,
    Settled,
    Truth,
    Unbound,
    Vague,
    Value,
    chosen,
    is_harmless,
    is_mutable,
    is_plain,
    when,
)
from trapline.detection.inference.ways import Env, become, may_be_unbound, merged


class Expressions(Flow):
    """Evaluates expressions. Where nothing is known of one, it is `lost`."""

    @property
    @abstractmethod
    def names(self) -> Names:
        """What the names of the module stand for whose function is being followed."""

    @abstractmethod
    def compound(self, node: ast.expr, env: Env) -> Value | None:
        """What is known of a call or a comprehension; None where it is not understood."""

    @abstractmethod
    def is_local(self, name: str) -> bool:
        """Whether a name is local to the function that is being followed."""

    @abstractmethod
    def assign(self, target: ast.expr, value: Value, env: Env) -> None:
        """Binds what stands to the left of a `=`."""

    def value(self, node: ast.expr, env: Env) -> Value:
        """What is known of an expression. Names that it binds are bound in `env`."""
        self.step()
        handler = _EXPRESSIONS.get(type(node))
        value = handler(self, node, env) if handler else self.compound(node, env)
        return self.not_understood(node) if value is None else value

    def truth(self, value: Value) -> Truth:
        """When a value may be true, and when it may be false."""
        match value:
            case Truth():
                return value
            case Const(constant):
                return Truth(TRUE, FALSE) if constant else Truth(FALSE, TRUE)
            case Field(path=()) | Settled(is_true=True):
                return Truth(TRUE, FALSE)  # a record has columns
            case Settled():
                return Truth(FALSE, TRUE)
            case Field():
                return Truth(when(value, "truthy"), when(value, "truthy", outcome="false"))
            case Row(items):
                return Truth(TRUE, FALSE) if items else Truth(FALSE, TRUE)
            case Choice(truth=Truth() as truth):
                return truth
            case Choice(cases):
                truths = []
                for where, each in cases:
                    with self.only_where(where):
                        truths.append((where, self.truth(each)))
                return Truth(
                    self.some(every(where, each.true) for where, each in truths),
                    self.some(every(where, each.false) for where, each in truths),
                )
            case Vague(gap=gap):
                self.gaps[gap] = None
                return Truth(TRUE, TRUE)
            case Foreign(gap):
                self.gaps[gap] = None
                self.may_raise(TRUE, usual=False)
                return Truth(FALSE, FALSE)
            case Lost() | Unbound():
                return Truth(FALSE, FALSE)  # nobody gets there for whom the predicate does not hold already

    def branches(self, node: ast.expr, env: Env) -> tuple[Truth, Env, Env]:
        """A condition, and what the names are where it is true, and where it is false."""
        match node:
            case ast.UnaryOp(ast.Not(), operand):
                truth, yes, no = self.branches(operand, env)
                return turned(truth), no, yes
            case ast.BoolOp(op, values):
                return self._bool_branches(isinstance(op, ast.Or), values, env)
            case _:
                return self.truth(self.value(node, env)), env, env

    def _bool_branches(self, is_or: bool, operands: Sequence[ast.expr], env: Env) -> tuple[Truth, Env, Env]:
        truths: list[Truth] = []
        ends: list[tuple[Predicate, Env]] = []
        here: Predicate = TRUE
        for operand in operands:
            with self.only_where(here):
                truth, yes, no = self.branches(operand, dict(env))
            truths.append(truth)
            ended, goes_on, there, env = (
                (truth.true, truth.false, yes, no) if is_or else (truth.false, truth.true, no, yes)
            )
            ends.append((self.every((here, ended)), there))
            here = self.every((here, goes_on))
        early = merged(ends)
        return self.joined(is_or, truths), *((early, env) if is_or else (env, early))

    def joined(self, is_or: bool, truths: Sequence[Truth]) -> Truth:
        trues, falses = [truth.true for truth in truths], [truth.false for truth in truths]
        return Truth(self.some(trues), self.every(falses)) if is_or else Truth(self.every(trues), self.some(falses))

    # Expressions that need no more than their parts

    def _constant(self, node: ast.Constant, env: Env) -> Value | None:
        too_large = isinstance(node.value, int) and node.value.bit_length() > 256
        return None if too_large else Const(node.value)

    def _name(self, node: ast.Name, env: Env) -> Value | None:
        if node.id in env:
            return self.each(env[node.id], node, Known)
        if self.is_local(node.id):
            return None  # it may not be bound
        if node.id in self.names.constants:
            return self.names.constants[node.id]
        if node.id not in self.names.bound and node.id not in _BUILTINS:
            return None
        module = node.id if node.id in self.names.modules else ""
        return Foreign(self.at(node, f"`{node.id}` is not known"), module)

    def _display(self, node: ast.Tuple | ast.List, env: Env) -> Value | None:
        if any(isinstance(each, ast.Starred) for each in node.elts):
            return None
        items = [self.value(each, env) for each in node.elts]
        return self.row(items, is_list=isinstance(node, ast.List))

    def row(self, items: Sequence[Value], *, is_list: bool) -> Value:
        if LOST in items:
            return LOST
        known = [each.value for each in items if isinstance(each, Const) and not is_mutable(each)]
        if len(known) < len(items):
            return Row(tuple(items), is_list)
        return Const(known if is_list else tuple(known))

    def _set(self, node: ast.Set, env: Env) -> Value | None:
        items = [self.value(each, env) for each in node.elts]
        known = [each.value for each in items if isinstance(each, Const) and is_plain(each.value)]
        return Const(set(known)) if len(known) == len(items) else None

    def _dict(self, node: ast.Dict, env: Env) -> Value | None:
        pairs = [
            (self.value(k, env) if k else LOST, self.value(v, env)) for k, v in zip(node.keys, node.values, strict=True)
        ]
        if None in node.keys or any(LOST in pair for pair in pairs):
            return None
        keys = [key.value for key, _ in pairs if isinstance(key, Const) and is_plain(key.value)]
        if len(keys) < len(pairs):
            return None
        values = [
            each.value if isinstance(each, Const) and is_plain(each.value) else operations.UNKNOWN for _, each in pairs
        ]
        return Const(dict(zip(keys, values, strict=True)))

    def _text(self, node: ast.JoinedStr, env: Env) -> Value | None:
        """A formatted text: nothing happens where it asks for no format."""
        parts = [part for part in node.values if isinstance(part, ast.FormattedValue)]
        values = [self.value(part.value, env) for part in parts]
        if LOST in values:
            return LOST
        plain = all(map(is_harmless, values)) and all(part.format_spec is None for part in parts)
        return self.vague(node, "text") if plain else None

    def _unary(self, node: ast.UnaryOp, env: Env) -> Value | None:
        operand = self.value(node.operand, env)
        if isinstance(node.op, ast.Not):
            return turned(self.truth(operand))
        if isinstance(node.op, ast.USub) and isinstance(operand, Const) and type(operand.value) in (int, float):
            return Const(-operand.value)
        return LOST if operand is LOST else None

    def _binary(self, node: ast.BinOp, env: Env) -> Value:
        return self.added(node.op, self.value(node.left, env), self.value(node.right, env), node)

    def added(self, op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
        """`left op right`."""
        return self.pairs(left, right, node, lambda one, two: operations.added(op, one, two))

    def _bool_op(self, node: ast.BoolOp, env: Env) -> Value:
        """`a and b` is a where a is false, else b; `a or b` is a where a is true, else b."""
        is_or = isinstance(node.op, ast.Or)
        cases: list[tuple[Predicate, Value]] = []
        truths: list[Truth] = []
        ends: list[tuple[Predicate, Env]] = []
        here: Predicate = TRUE
        inner = env
        for operand in node.values:
            inner = dict(inner) if truths else inner
            with self.only_where(here):
                value = self.value(operand, inner)
                truth = self.truth(value)
            truths.append(truth)
            ended, goes_on = (truth.true, truth.false) if is_or else (truth.false, truth.true)
            last = len(truths) == len(node.values)
            ends.append((here if last else self.every((here, ended)), inner))
            cases.append((here, value) if last else (ends[-1][0], Settled(value, is_or)))
            here = self.every((here, goes_on))
        become(env, merged(ends))
        return Choice(tuple(cases), self.joined(is_or, truths))

    def _if_exp(self, node: ast.IfExp, env: Env) -> Value:
        truth, then, other = self.branches(node.test, env)
        then, other = dict(then), dict(other)
        with self.only_where(truth.true):
            yes = self.value(node.body, then)
        with self.only_where(truth.false):
            no = self.value(node.orelse, other)
        become(env, merged([(truth.true, then), (truth.false, other)]))
        return chosen(((truth.true, yes), (truth.false, no)))

    def _named(self, node: ast.NamedExpr, env: Env) -> Value:
        value = self.value(node.value, env)
        self.assign(node.target, value, env)
        return value

    def _compare(self, node: ast.Compare, env: Env) -> Value:
        """`a < b < c` is `a < b and b < c`, with b evaluated once."""
        truths: list[Truth] = []
        here: Predicate = TRUE
        left = self.value(node.left, env)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            inner = dict(env) if truths else env
            with self.only_where(here):
                right = self.value(comparator, inner)
                found = self._pair(op, left, right, node)
                if len(node.ops) == 1:
                    return found
                truth = self.truth(found)
            if truths:
                become(env, merged([(here, inner), (self.some(each.false for each in truths), env)]))
            truths.append(truth)
            here, left = self.every((here, truth.true)), right
        return self.joined(False, truths)

    def _pair(self, op: ast.cmpop, left: Value, right: Value, node: ast.Compare) -> Value:
        def compared(one: Value, two: Value) -> Known | None:
            known = operations.compared(op, one, two)
            by_identity = isinstance(op, ast.Is | ast.IsNot)
            harmless = isinstance(op, ast.Eq | ast.NotEq) and is_harmless(one) and is_harmless(two)
            return Known(operations.some_text("plain")) if known is None and (by_identity or harmless) else known

        return self.pairs(left, right, node, compared)

    def _subscript(self, node: ast.Subscript, env: Env) -> Value:
        holder = self.value(node.value, env)
        if isinstance(node.slice, ast.Slice):
            ends = [self.value(end, env) if end else Const(None) for end in _ends(node.slice)]
            return LOST if LOST in ends else self.each(holder, node, lambda one: operations.part(one, tuple(ends)))
        return self.pairs(holder, self.value(node.slice, env), node, operations.item)

    def _attribute(self, node: ast.Attribute, env: Env) -> Value | None:
        if self.is_re(node.value, env):
            return methods.flag(node.attr)
        meaning = self.meaning(node, env)
        return meaning if isinstance(meaning, Const) else None

    def meaning(self, node: ast.expr, env: Env) -> Const | Function | None:
        """What a name, or names with dots, stand for in the modules of the detection."""
        first = spelled(node).split(".")[0]
        return None if first in env or self.is_local(first) else self.names.meaning(node)

    def is_builtin(self, name: str, env: Env) -> bool:
        """Whether a name is Python's own."""
        return name in _BUILTINS and name not in env and name not in self.names.bound and not self.is_local(name)

    def is_re(self, node: ast.expr, env: Env) -> bool:
        """Whether an expression is the module `re`."""
        if not isinstance(node, ast.Name):
            return False
        local = env.get(node.id)
        if isinstance(local, Foreign):
            return local.module == "re"
        return node.id == "re" and node.id in self.names.modules and local is None and not self.is_local(node.id)

    # What becomes of a value in each of its cases

    def each(self, value: Value, node: ast.AST, of: Callable[[Value], Known | None]) -> Value:
        self.step()
        match value:
            case Lost():
                return LOST
            case Unbound():
                self.may_raise(TRUE, usual=False)
                return LOST
            case Choice(cases) if of is not Known or may_be_unbound(value):
                made = []
                for where, each in cases:
                    with self.only_where(where):
                        made.append((where, self.each(each, node, of)))
                return chosen(made)
            case Settled(inner, _) if of is not Known:
                return self.each(inner, node, of)
        known = of(value)
        if known is None:
            return self.not_understood(node)
        self.may_raise(known.raises)
        if known.roughly:
            self.gap(node, known.roughly)
        is_new = isinstance(known.value, Vague) and not known.value.gap.reason
        return self.vague(node, known.value.kind) if is_new and isinstance(known.value, Vague) else known.value

    def pairs(self, left: Value, right: Value, node: ast.AST, of: Callable[[Value, Value], Known | None]) -> Value:
        return self.each(left, node, lambda one: Known(self.each(right, node, lambda two: of(one, two))))

    def not_understood(self, node: ast.AST) -> Lost:
        """Here anything may happen."""
        return self.lost(node, f"`{shown(node)}` is not understood")


def _ends(node: ast.Slice) -> Sequence[ast.expr | None]:
    return node.lower, node.upper, node.step


_BUILTINS = frozenset(dir(builtins))
_EXPRESSIONS: Mapping[type[ast.expr], Callable[..., Value | None]] = {
    ast.Constant: Expressions._constant,
    ast.Name: Expressions._name,
    ast.Tuple: Expressions._display,
    ast.List: Expressions._display,
    ast.Set: Expressions._set,
    ast.Dict: Expressions._dict,
    ast.JoinedStr: Expressions._text,
    ast.UnaryOp: Expressions._unary,
    ast.BinOp: Expressions._binary,
    ast.BoolOp: Expressions._bool_op,
    ast.IfExp: Expressions._if_exp,
    ast.NamedExpr: Expressions._named,
    ast.Compare: Expressions._compare,
    ast.Subscript: Expressions._subscript,
    ast.Attribute: Expressions._attribute,
}
