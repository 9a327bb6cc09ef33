"""Every code that `validate` and `registry check` can say has a meaning, and no other; the reference has them all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import trapline
from tests.docs.problems import PAGE, written
from trapline.author.validation.meanings import MEANINGS

SOURCE = Path(trapline.__file__).parent
ROOMS = [
    *("config", "detection", "author/validation", "author/attack.py"),
    *("requirements", "settings/read.py", "suppressions.py", "query/where.py", "deploy/desired.py"),
    *("delivery/destinations.py", "packs/manifest.py", "author/registry/check"),
]
"""Where what `validate` says comes from."""

_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PYFLAKES = {"undefined-name", "undefined-local", "unused-import", "unused-variable"}
_MADE = {"duplicate-id", "duplicate-name"}
"""Those that the source puts together."""
_ELSEWHERE = {"secret-missing"}
"""What `validate` leaves to the machine that delivers."""

_NO_CODES = {"s3-events"}
"""Words that only look like codes where they stand."""


def trees() -> list[ast.Module]:
    files = [
        file for room in ROOMS for file in ([SOURCE / room] if room.endswith(".py") else SOURCE.glob(f"{room}/**/*.py"))
    ]
    return [ast.parse(file.read_text()) for file in files]


def takers(parsed: list[ast.Module]) -> set[str]:
    """The functions and classes that are given a code."""
    names = {"Problem"}
    for node in (node for tree in parsed for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef) and any(each.arg == "code" for each in node.args.args):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inside = list(ast.walk(node))
            fields = {
                one.target.id for one in inside if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            }
            parameters = {one.arg for one in inside if isinstance(one, ast.arg)}
            if "code" in fields or ("code" in parameters and "Error" in node.name):
                names.add(node.name)
    return names


def codes() -> Iterator[str]:
    parsed = trees()
    taking = takers(parsed)
    for node in (node for tree in parsed for node in ast.walk(tree)):
        match node:
            case ast.Call(ast.Name(name) | ast.Attribute(_, name), arguments) if name in taking:
                said = [*arguments, *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
            case ast.Tuple([_, ast.Constant(), *_] | [_, ast.Constant()]) if 2 <= len(node.elts) <= 4:
                said = node.elts[1:2]  # a finding: its place, its code, and what there is to say
            case ast.IfExp():
                said = [node.body, node.orelse]
            case ast.Assign([ast.Name("code")], value):
                said = [value]
            case _:
                continue
        for one in said:
            if isinstance(one, ast.Constant) and isinstance(one.value, str) and _CODE.fullmatch(one.value):
                yield one.value


def known() -> set[str]:
    return {code for section in MEANINGS.values() for code in section}


def test_every_code_has_a_meaning() -> None:
    said = {code for code in codes() if "-" in code} - _ELSEWHERE - _NO_CODES
    assert len(said) > 40
    assert not said - known()


def test_no_meaning_is_of_a_code_that_nobody_says() -> None:
    assert known() - {*codes()} == _PYFLAKES | _MADE


def test_the_page_is_as_the_code_has_it() -> None:
    assert PAGE.read_text() == written(), "run python -m tests.docs.problems"
