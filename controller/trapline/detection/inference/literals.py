"""The constants that a module writes down."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from trapline.detection.inference import methods, operations
from trapline.detection.inference.values import Const, is_plain

_KINDS: Mapping[str, Callable[..., Any]] = {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset}
_MUTABLE = (list, set, dict)
_SETS = (set, frozenset)
_GROUPS = (tuple, frozenset, *_MUTABLE)


class Literals:
    """Reads expressions of constants."""

    def __init__(self, hidden: Collection[str], *, has_re: bool) -> None:
        """`hidden` are builtin names that stand for something else here; `has_re` if `re` is the module."""
        self._hidden = hidden
        self._has_re = has_re
        self.known: dict[str, Const] = {}
        """The constants that have names."""

    def value(self, node: ast.expr) -> Const | None:
        """The value of an expression; None where it is no constant."""
        match node:
            case ast.Constant(value):
                return Const(value) if not isinstance(value, int) or value.bit_length() <= 256 else None
            case ast.Name(name):
                return self.known.get(name)
            case ast.UnaryOp(ast.USub(), operand):
                found = self.value(operand)
                return Const(-found.value) if found and type(found.value) in (int, float) else None
            case ast.BinOp(left, op, right):
                one, two = self.value(left), self.value(right)
                made = operations.added(op, one, two) if one and two else None
                return made.value if made and isinstance(made.value, Const) else None
            case ast.Tuple(items) | ast.List(items) | ast.Set(items):
                return _grouped(_OF_DISPLAY[type(node)], self._all(items))
            case ast.Dict(keys, values) if None not in keys:
                names = self._all([key for key in keys if key])
                return None if names is None else _grouped(dict, [*zip(names, map(self._held, values), strict=True)])
            case ast.Attribute(ast.Name("re"), name) if self._has_re:
                return methods.flag(name)
            case ast.Call(function, arguments, []):
                given = [self.value(each) for each in arguments]
                return self._called(function, [each for each in given if each]) if all(given) else None
            case _:
                return None

    def _all(self, items: Sequence[ast.expr]) -> list[Any] | None:
        """The values of several; none of them could be taken out and changed."""
        values: list[Any] = []
        for each in items:
            several = isinstance(each, ast.Starred)
            found = self.value(each.value if isinstance(each, ast.Starred) else each)
            # in what order a set is gone through is not known
            if found is None or (several and not isinstance(found.value, tuple | list | dict)):
                return None
            values.extend(found.value if several else [found.value])
        return None if any(isinstance(value, _MUTABLE) for value in values) else values

    def _held(self, node: ast.expr) -> Any:
        """What a dict holds."""
        found = self.value(node)
        return found.value if found and _is_immutable(found.value) else operations.UNKNOWN

    def _called(self, function: ast.expr, arguments: Sequence[Const]) -> Const | None:
        match function, arguments:
            case ast.Name(name), [] if name in _KINDS and name not in self._hidden:
                return Const(_KINDS[name]())
            case ast.Name(name), [Const(inner)] if name in _KINDS and name not in self._hidden:
                fits = isinstance(inner, _GROUPS) and (name in ("set", "frozenset") or not isinstance(inner, _SETS))
                return _grouped(_KINDS[name], inner) if fits else None
            case ast.Attribute(ast.Name("re"), "compile"), _ if self._has_re:
                return methods.compiled(arguments)
            case ast.Attribute(ast.Constant(str() as text), "split"), []:
                return Const(text.split())
            case _:
                return None


_OF_DISPLAY: Mapping[type[ast.expr], Callable[[Any], Any]] = {ast.Tuple: tuple, ast.List: list, ast.Set: set}


def _is_immutable(value: Any) -> bool:
    return is_plain(value) or (isinstance(value, tuple) and all(map(_is_immutable, value)))


def _grouped(kind: Callable[[Any], Any], values: Any) -> Const | None:
    try:
        return None if values is None else Const(kind(values))
    except (TypeError, ValueError):
        return None
