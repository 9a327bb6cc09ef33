"""`python -m tests.docs.tables`: fills the tables of the plugin API and of the destinations' settings from the code.

A table that is made has a comment before it, such as `<!-- made: fields Notification -->`. With `--check` nothing is
written, and the exit code is 1 where a page is not what the code says.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from trapline_plugins import api, builtin, contract

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGES = [REFERENCE / "plugin-api.md", REFERENCE / "destinations.md"]

_MADE = re.compile(r"(?P<mark><!-- made: (?P<what>\w+) (?P<of>\S+) -->\n\n)(?P<text>.*?)(?=\n\n|\n\Z)", re.DOTALL)
_DESTINATIONS = {destination.kind: destination for destination in builtin.register_destinations()}


def filled(text: str) -> str:
    """A page with every table in it as the code has it."""
    return _MADE.sub(lambda made: made["mark"] + _MAKERS[made["what"]](made["of"]), text)


def _settings(kind: str) -> str:
    """The settings of a destination."""
    rows = []
    for name, setting in _DESTINATIONS[kind].config_model.model_fields.items():
        default = "required" if setting.is_required() else f"`{setting.get_default(call_default_factory=True)!r}`"
        rows.append((f"`{name}`", default, setting.description or ""))
    return _table(("setting", "default", "meaning"), rows)


def _hooks(marker: str) -> str:
    """What a plugin can implement: the functions of the API with pluggy's mark."""
    hooks = [one for one in vars(api).values() if hasattr(one, marker)]
    return _table(("hook", "meaning"), [(f"`{signature(hook)}`", _line(hook)) for hook in hooks])


def _fields(name: str) -> str:
    """The fields of a dataclass, with their docstrings."""
    of, said = getattr(api, name), docstrings(getattr(api, name))
    return _table(("field", "meaning"), [(f"`{_field(one)}`", said[one.name]) for one in dataclasses.fields(of)])


def _attributes(name: str) -> str:
    """The class attributes that a subclass may set."""
    of = getattr(api, name)
    said = docstrings(of)
    rows = []
    for one, hint in inspect.get_annotations(of).items():
        if declared := re.fullmatch(r"ClassVar\[(.*)\]", hint):
            default = f" = {_shown(getattr(of, one))}" if hasattr(of, one) else ""
            rows.append((f"`{one}: {declared[1]}{default}`", said[one]))
    return _table(("class attribute", "meaning"), rows)


def _methods(name: str) -> str:
    """The methods of a class that are meant for others, with their docstrings."""
    of: Any = getattr(api, name, None) or getattr(contract, name)
    methods = [one for one in vars(of).values() if inspect.isfunction(one) and _is_public(one.__name__)]
    rows = []
    for one in methods:
        must = " Must be implemented." if getattr(one, "__isabstractmethod__", False) else ""
        rows.append((f"`{signature(one)}`", _line(one) + must))
    return _table(("method", "meaning"), rows)


def _outcomes(name: str) -> str:
    kinds: Iterable[type] = getattr(api, name).__args__
    rows = [(f"`{signature(one).removesuffix(' -> None')}`", _line(one)) for one in kinds]
    return _table(("outcome", "meaning"), rows)


_MAKERS: Mapping[str, Callable[[str], str]] = {
    "settings": _settings,
    "hooks": _hooks,
    "fields": _fields,
    "attributes": _attributes,
    "methods": _methods,
    "outcomes": _outcomes,
}


def signature(function: Any) -> str:
    """`send(notification: Notification, ...) -> Outcome`, without `self` and without quotes around types."""
    parameters = inspect.signature(function)
    shown = parameters.replace(parameters=[one for name, one in parameters.parameters.items() if name != "self"])
    unquoted = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(shown))
    return f"{function.__name__}{unquoted}"


def docstrings(of: type) -> dict[str, str]:
    """What stands below each attribute of a class, which Python itself does not keep."""
    [body] = ast.parse(textwrap.dedent(inspect.getsource(of))).body
    assert isinstance(body, ast.ClassDef)
    said = {}
    for statement, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    said[statement.target.id] = " ".join(text.split())
    return said


def _field(one: dataclasses.Field[Any]) -> str:
    shown = f"{one.name}: {one.type}".replace('"', "'")
    if one.default is not dataclasses.MISSING:
        return f"{shown} = {one.default!r}"
    return f"{shown} = {one.default_factory()!r}" if one.default_factory is not dataclasses.MISSING else shown


def _shown(value: object) -> str:
    return "frozenset(Kind)" if value == frozenset(api.Kind) else repr(value)


def _is_public(name: str) -> bool:
    return not name.startswith(("_", "test_"))


def _line(of: Any) -> str:
    return " ".join((inspect.getdoc(of) or "").split())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)


if __name__ == "__main__":
    wrong = [page for page in PAGES if filled(page.read_text()) != page.read_text()]
    for page in () if "--check" in sys.argv[1:] else wrong:
        page.write_text(filled(page.read_text()))
    if "--check" in sys.argv[1:] and wrong:
        sys.exit(f"run python -m tests.docs.tables: {', '.join(page.name for page in wrong)}")
