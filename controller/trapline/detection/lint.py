"""What can be said of a detection's Python without running it. Never raises, whatever it is given."""

from __future__ import annotations

import ast
import inspect
import posixpath
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType

from pyflakes import checker, messages

from trapline.config.words import did_you_mean
from trapline.detection.inference.parse import ONE_AT_A_TIME
from trapline.detection.model import Mode
from trapline.errors import Problem, Severity

MAX_BYTES = 1024 * 1024
MAX_FINDINGS = 100  # of one kind of check in one file
OPTIONAL_FUNCTIONS = ("title", "dedupe", "severity", "destinations", "description", "runbook", "alert_context")
# A generator is a fine answer where a list is asked for, and nowhere else.
_MAY_YIELD = {(Mode.BATCH, "detect"), (Mode.RECORD, "destinations"), (Mode.BATCH, "destinations")}
_FATAL = (messages.UndefinedName, messages.UndefinedLocal)
_NEST = (ast.If, ast.Try, ast.With, ast.For, ast.While)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def lint(detection_path: str, script_name: str, source: bytes, mode: Mode) -> list[Problem]:
    """Problems of a detection's script, errors where it could not work."""
    path = script_name if detection_path == "." else posixpath.join(detection_path, script_name)
    return list(_lint(path, source, mode))


@lru_cache(maxsize=10_000)  # a new revision changes few of its scripts
def _lint(path: str, source: bytes, mode: Mode) -> tuple[Problem, ...]:
    tree, code, problems = _parse(path, source)
    if tree is None or code is None:
        return tuple(problems)
    try:
        return (*problems, *_names(path, tree, source), *_functions(path, tree, _generators(code), mode))
    except RecursionError:
        message = "the code is nested too deeply to be checked for undefined names"
        return (*problems, Problem(path, 0, "warning", "not-checked", message, "split long expressions"))


def lint_module(path: str, source: bytes) -> list[Problem]:
    """Syntax errors of any other Python file of a detection."""
    return _parse(path, source)[2]


def lint_shared(path: str, source: bytes) -> list[Problem]:
    """The same, and undefined and unused names: of a file that no detection may import yet."""
    tree, _, problems = _parse(path, source)
    try:
        return [*problems, *(_names(path, tree, source) if tree else ())]
    except RecursionError:
        return problems


def column_of(lines: Sequence[bytes], line: int, offset: int) -> int:
    """The column, from 1, of a byte of a line: trees count in bytes, and people in characters."""
    return len(lines[line - 1][:offset].decode("utf-8", "replace")) + 1 if line <= len(lines) else offset + 1


def _parse(path: str, source: bytes) -> tuple[ast.Module | None, CodeType | None, list[Problem]]:
    if len(source) > MAX_BYTES:
        message = f"the file has {len(source)} bytes, and {MAX_BYTES} are the most"
        return None, None, [Problem(path, 0, "error", "too-large", message, "move data out of the code")]
    try:
        with ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tree = ast.parse(source, path)
            # Compiling finds what the grammar alone allows, such as a stray return.
            code = compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        remedy = f"correct line {line}" if line else "correct the file"
        return (
            None,
            None,
            [Problem(path, line, "error", "python-syntax", f"not valid Python: {error.msg}", remedy, column)],
        )
    except (ValueError, OverflowError) as error:
        message, remedy = f"not valid Python: {error}", "save it as plain text in UTF-8"
        return None, None, [Problem(path, 0, "error", "python-syntax", message, remedy)]
    except (RecursionError, MemoryError):
        message, remedy = "the code is nested too deeply to be compiled", "split long expressions"
        return None, None, [Problem(path, 0, "error", "too-deep", message, remedy)]
    return tree, code, [Problem(path, w.lineno, "warning", "python-warning", str(w.message)) for w in caught]


class _Names(checker.Checker):  # type: ignore[misc]  # pyflakes has no types
    """pyflakes, binding the builtins at once: for a short script that was most of its work."""

    def addBinding(self, node: ast.AST | None, value: checker.Binding) -> None:
        if node is None:
            self.scope[value.name] = value
        else:
            super().addBinding(node, value)


def _names(path: str, tree: ast.Module, source: bytes) -> Iterator[Problem]:
    names = _Names(tree, filename=path)
    found = names.messages
    names.__dict__.clear()  # a checker holds itself in circles; torn open here, it need not wait for the collector
    undefined = any(isinstance(message, messages.UndefinedName) for message in found)
    hints = _Hints(tree) if undefined else None  # walks the whole tree
    lines = source.splitlines() if found else []
    for message in sorted(found, key=lambda one: (not isinstance(one, _FATAL), one.lineno, one.col))[:MAX_FINDINGS]:
        text = message.message % message.message_args
        severity: Severity = "error" if isinstance(message, _FATAL) else "warning"
        remedy = hints.remedy(message) if hints and isinstance(message, messages.UndefinedName) else ""
        column = column_of(lines, message.lineno, message.col)
        yield Problem(path, message.lineno, severity, _kebab(message), text, remedy, column)


def _kebab(message: messages.Message) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(message).__name__).lower()


class _Hints:
    """What an undefined name could have meant."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._fields: dict[tuple[int, int], str] = {}  # place -> `event.outcome`, the longest that begins there
        self._bound: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):  # walked from the outside in
                self._fields.setdefault((node.lineno, node.col_offset), ".".join(_chain(node)))
            elif isinstance(node, ast.arg):
                self._bound.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._bound.add(node.id)

    def remedy(self, message: messages.Message) -> str:
        name = str(message.message_args[0])
        if name in sys.stdlib_module_names:
            return f"add `import {name}` at the top"
        field = self._fields.get((message.lineno, message.col), "")
        if field.startswith(f"{name}."):
            return f'read it from the record: {_parameter_at(self._tree, message.lineno)}.deepget("{field}")'
        return did_you_mean(name, sorted(self._bound)[:1000]) or "define it, import it, or correct its spelling"


def _chain(node: ast.expr) -> list[str]:
    """`event.outcome.x` as its parts; empty for anything but plain names and dots."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (left := _chain(node.value)):
        return [*left, node.attr]
    return []


def _parameter_at(tree: ast.Module, line: int) -> str:
    """What the function around a line calls the record it is given."""
    for function in _top_level_functions(tree.body):
        first = [*function.args.posonlyargs, *function.args.args][:1]
        if first and function.lineno <= line <= (function.end_lineno or 0) and first[0].arg != "records":
            return first[0].arg
    return "record"


def _generators(code: CodeType) -> frozenset[str]:
    """The module's own functions that yield: the compiler knows, so nobody need walk them."""
    functions = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(function.co_name for function in functions if function.co_flags & inspect.CO_GENERATOR)


def _functions(path: str, tree: ast.Module, generators: frozenset[str], mode: Mode) -> Iterator[Problem]:
    functions = {function.name: function for function in _top_level_functions(tree.body)}
    if "detect" not in functions and not _binds(tree, "detect"):
        argument = "record" if mode is Mode.RECORD else "records"
        near = did_you_mean("detect", [name for name in functions if name not in OPTIONAL_FUNCTIONS])
        remedy = f"define `def detect({argument}):`" + (f" ({near})" if near else "")
        yield Problem(path, 0, "error", "no-detect", "the script defines no function `detect`", remedy)
    for name in ("detect", *OPTIONAL_FUNCTIONS):
        if function := functions.get(name):
            yield from _function(path, function, mode, yields=name in generators)


def _function(path: str, function: _Function, mode: Mode, *, yields: bool) -> Iterator[Problem]:
    def error(code: str, message: str, remedy: str) -> Problem:
        return Problem(path, function.lineno, "error", code, message, remedy, function.col_offset + 1)

    name, batch_detect = function.name, mode is Mode.BATCH and function.name == "detect"
    argument = "records" if batch_detect else "record"
    if isinstance(function, ast.AsyncFunctionDef):
        yield error("async-function", f"`{name}` is async, and nobody awaits it", f"write `def {name}({argument}):`")
        return
    if not function.decorator_list and not _takes_one(function.args):
        message = f"`{name}` is called with one argument, and takes {ast.unparse(function.args) or 'none'}"
        yield error("wrong-parameters", message, f"write `def {name}({argument}):`")
    if yields and (mode, name) not in _MAY_YIELD:
        message = f"`{name}` yields, so that its answer is a generator, which is always true"
        yield error("generator", message, "use `return`, or the batch format (detection.toml and detection.py)")
    if (
        name == "detect"
        and not yields
        and not function.decorator_list
        and not any(map(_answers, _own_nodes(function.body)))
    ):
        remedy = "yield a dictionary for each match" if batch_detect else "return True for a match"
        yield error("no-answer", f"`detect` never {'yields or ' if batch_detect else ''}returns anything", remedy)


def _answers(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Return) and node.value is not None)


def _takes_one(args: ast.arguments) -> bool:
    positional = len(args.posonlyargs) + len(args.args)
    required = positional - len(args.defaults)
    keywords_given = all(default is not None for default in args.kw_defaults)
    return required <= 1 and (positional >= 1 or args.vararg is not None) and keywords_given


def _top_level_functions(body: Sequence[ast.stmt]) -> Iterator[_Function]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement
        elif isinstance(statement, _NEST):
            yield from _top_level_functions([n for n in ast.iter_child_nodes(statement) if isinstance(n, ast.stmt)])


def _binds(tree: ast.Module, name: str) -> bool:
    """Whether the module may have the name from an assignment or an import."""
    for node in _own_nodes(tree.body):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.alias) and (node.asname or node.name.split(".")[0]) in (name, "*"):
            return True
    return False


def _own_nodes(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of functions, classes and lambdas inside of it."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _SCOPES):
            pending.extend(ast.iter_child_nodes(node))
