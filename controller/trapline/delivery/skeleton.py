"""The beginning of a plugin: a project with one destination over HTTP, whose tests pass at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from packaging.version import Version

from trapline.errors import TraplineError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_NAME = 40
_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/{module}/__init__.py": "module.py.txt",
    "src/{module}/py.typed": "",
    "tests/test_{module}.py": "test_module.py.txt",
}
"""Where each file goes, and the template that it is made from."""


def write_skeleton(name: str, into: Path, *, taken: Collection[str] = ()) -> Path:
    """Writes the project `trapline-NAME` into a folder, and returns where it is. Raises TraplineError.

    `taken` are the kinds of destinations that there are already.
    """
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise TraplineError(
            f"{name!r} is no name for a plugin",
            remedy=f"use small letters, digits and single `-`, beginning with a letter, at most {_MAX_NAME} of them",
        )
    if name in taken:
        raise TraplineError(
            f"there is a destination of the kind {name!r} already",
            remedy="choose another name: of two plugins with one kind only the first is used",
        )
    root = into / f"trapline-{name}"
    words = _words(name)
    try:
        root.mkdir(parents=True)
        for path, template in _FILES.items():
            file = root / path.format(module=words["module"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(template, words))
    except FileExistsError as error:
        raise TraplineError(
            f"{error.filename} is there already, and nothing is overwritten",
            remedy="remove it, choose another name, or name another folder with --into",
        ) from None
    except OSError as error:
        raise TraplineError(
            f"{error.filename} cannot be written: {error.strerror}", remedy="name another folder with --into"
        ) from None
    return root


def _words(name: str) -> Mapping[str, str]:
    """What stands for `$...` in the templates."""
    parts = name.split("-")
    return {
        "name": name,
        "module": f"trapline_{'_'.join(parts)}",
        "class_name": "".join(part.capitalize() for part in parts),
        "title": " ".join(part.capitalize() for part in parts),
        "variable": "_".join(parts).upper(),
        "api": _api(Version(version("trapline-plugins"))),
    }


def _api(installed: Version) -> str:
    """The versions of the plugin API for which what is written now holds, as a requirement says them."""
    begin, end = f"{installed.major}.{installed.minor}", f"{installed.major + 1}"
    return f">={begin},<{end}" if installed.major else f">={begin},<0.{installed.minor + 1}"


def _filled(template: str, words: Mapping[str, str]) -> str:
    if not template:
        return ""
    return Template((files("trapline_plugins") / "skeleton" / template).read_text()).substitute(words)
