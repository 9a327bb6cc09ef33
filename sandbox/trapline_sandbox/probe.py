"""The values inside a rule's condition: `detect` run over one record with its expressions noting what they come to.

Only imported where somebody asks: production runs the script as it is written.
"""

from __future__ import annotations

import ast
import reprlib
from collections.abc import Callable
from importlib.util import decode_source
from itertools import islice
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from trapline_sandbox.record import clean

MOST_VALUES = 300
VALUE_LIMIT = 400

_NOTE, _RETURN = "__trapline_note__", "__trapline_return__"  # between underscores, so that no class mangles them
_TOLD = (
    ast.Compare,
    ast.BoolOp,
    ast.BinOp,
    ast.IfExp,
    ast.NamedExpr,
    ast.Call,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
)
"""The expressions whose values are worth a look, besides chains of names."""


class Span(NamedTuple):
    """A part of the script: lines from 1, columns in characters from 0, the last one behind its end."""

    line: int
    column: int
    end_line: int
    end_column: int


class Probe:
    """A `detect` that notes what its expressions come to; an expression that is gone through again, the last time."""

    def __init__(self, script: str, module: ModuleType) -> None:
        """`script` is the file that `module` was loaded from, which stays as it is."""
        text = decode_source(Path(script).read_bytes())
        self._file = script
        self._lines = text.split("\n")
        self._values: dict[int, Any] = {}
        self._times: dict[int, int] = {}
        self._returned = 0
        self._answer: str | None = None
        self._raised: Span | None = None
        self._nodes: list[ast.expr] = []
        self._detect: Callable[[Any], Any] = module.__dict__["detect"]
        function = next((node for node in reversed(ast.parse(text).body) if _binds_detect(node)), None)
        if isinstance(function, ast.FunctionDef):
            self._nodes = _Noting(function).nodes
            self._detect = self._made(function, module)

    def run(self, record: Any, *, several: bool) -> None:
        """Asks `detect` about a record; `several`: it takes a list, and may yield its matches."""
        try:
            answer = self._detect([record] if several else record)
            if several and answer is not None:
                answer = list(islice(answer, MOST_VALUES))
            self._answer = shown(answer)
        except BaseException as error:
            self._raised = self._place(error.__traceback__)
            raise

    def told(self) -> dict[str, Any]:
        """What was noted, as plain JSON values."""
        seen = ({**self._span(node)._asdict(), **self._value(at)} for at, node in enumerate(self._nodes))
        values = [one for one in seen if one["value"] != ""][:MOST_VALUES]
        raised = self._raised and self._raised._asdict()
        return {"answer": self._answer, "returned": self._returned, "values": values, "raised": raised}

    def _place(self, traceback: TracebackType | None) -> Span | None:
        """The innermost expression of the script on the way to an exception."""
        found = None
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if code.co_filename == self._file:
                line, end_line, column, end_column = [*code.co_positions()][traceback.tb_lasti // 2]
                found = Span(line or 0, column or 0, end_line or 0, end_column or 0)
            traceback = traceback.tb_next
        return self._in_characters(found) if found and all((found.line, found.end_line)) else None

    def _made(self, function: ast.FunctionDef, module: ModuleType) -> Callable[[Any], Any]:
        """The function that notes, among copies of the names of its module: what it binds there nobody else sees."""
        tree = ast.fix_missing_locations(ast.Module([function], []))
        names = {**module.__dict__, _NOTE: self._note, _RETURN: self._return}
        exec(compile(tree, self._file, "exec"), names)  # noqa: S102  the rule itself, in its own sandbox
        made: Callable[[Any], Any] = names["detect"]
        return made

    def _note(self, at: int, value: Any) -> Any:
        self._values[at] = value
        self._times[at] = self._times.get(at, 0) + 1
        return value

    def _return(self, line: int, value: Any) -> Any:
        self._returned = line
        return value

    def _value(self, at: int) -> dict[str, Any]:
        """An empty value is one that is not worth a look: a function or a module."""
        if at not in self._values:
            return {"value": None, "times": 0}
        value = self._values[at]
        dull = callable(value) or isinstance(value, ModuleType)
        return {"value": "" if dull else shown(value), "times": self._times[at]}

    def _span(self, node: ast.expr) -> Span:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._in_characters(Span(node.lineno, node.col_offset, end_line, end_column))

    def _in_characters(self, span: Span) -> Span:
        """Python counts the bytes of UTF-8."""
        start, end = (
            len(self._lines[line - 1].encode()[:column].decode(errors="ignore"))
            for line, column in ((span.line, span.column), (span.end_line, span.end_column))
        )
        return span._replace(column=start, end_column=end)


class _Noting(ast.NodeTransformer):
    """Wraps the expressions of a function, so that each hands its value to the probe and goes on with it."""

    def __init__(self, function: ast.FunctionDef) -> None:
        arguments = function.args
        self._given = {each.arg for each in (*arguments.posonlyargs, *arguments.args)}
        self._depth = 0
        self.nodes: list[ast.expr] = []
        function.body = [self.visit(statement) for statement in function.body]

    def visit(self, node: Any) -> Any:
        match node:
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._chain(node)
            case ast.Call():
                if isinstance(node.func, ast.Attribute):  # what a method is called on is worth a look
                    node.func.value = self.visit(node.func.value)
                else:
                    node.func = self._base(node.func)
                node.args = [self.visit(each) for each in node.args]
                node.keywords = [self.visit(each) for each in node.keywords]
                return self._noted(node)
            case ast.Return():
                return self._return(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                return self._inner(node)
            case ast.AnnAssign(value=ast.expr()):
                node.value = self.visit(node.value)
                return node
            case ast.pattern() | ast.AnnAssign() | ast.arg():  # which must stay as they are written
                return node
        node = self.generic_visit(node)
        return self._noted(node) if isinstance(node, _TOLD) or _is_not(node) else node

    def _inner(self, node: ast.AST) -> ast.AST:
        self._depth += 1
        node = self.generic_visit(node)
        self._depth -= 1
        return node

    def _return(self, node: ast.Return) -> ast.Return:
        value = self.visit(node.value) if node.value else ast.Constant(None)
        if not self._depth:
            value = _call(_RETURN, node.lineno, ast.copy_location(value, node.value or node))
        return ast.copy_location(ast.Return(value), node)

    def _chain(self, node: ast.Name | ast.Attribute | ast.Subscript) -> ast.expr:
        if not isinstance(node.ctx, ast.Load):
            return node
        is_given = isinstance(node, ast.Name) and node.id in self._given  # the whole record says too much
        node = self._base(node)
        return node if is_given else self._noted(node)

    def _base(self, node: Any) -> Any:
        """A chain such as `a.b["c"]`, in which only what it begins with, and what it is looked up by, may be noted."""
        if isinstance(node, ast.Attribute | ast.Subscript):
            node.value = self._base(node.value)
            if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Name | ast.Attribute | ast.Subscript):
                node.slice = self.visit(node.slice)
            return node
        return node if isinstance(node, ast.Name) else self.visit(node)

    def _noted(self, node: Any) -> ast.expr:
        self.nodes.append(node)
        return _call(_NOTE, len(self.nodes) - 1, node)


def shown(value: Any) -> str:
    """A value in Python's words, however large, odd or hostile it is; never empty."""
    try:
        return clean(_brief.repr(value), VALUE_LIMIT) or "?"
    except Exception:  # its own __repr__ may do anything
        return f"<a {type(value).__name__} that cannot be shown>"


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = VALUE_LIMIT
_brief.maxlist = _brief.maxtuple = _brief.maxset = _brief.maxfrozenset = _brief.maxdict = 20


def _binds_detect(statement: ast.stmt) -> bool:
    """Whether the name stands for something else after a statement of the module."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name == "detect"
    named = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    named |= {node.asname or node.name for node in ast.walk(statement) if isinstance(node, ast.alias)}
    named |= {node.name for node in ast.walk(statement) if isinstance(node, ast.FunctionDef)}
    return "detect" in named


def _is_not(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _call(name: str, first: int, node: ast.expr) -> ast.expr:
    function = ast.Name(name, ast.Load())
    return ast.copy_location(ast.Call(function, [ast.Constant(first), node], []), node)
