"""`lib/` of a repository: code that several detections share. Each detection has what it imports of it, and no more.

What a detection imports becomes one of its own files, under `lib/`: it is part of its digest and of its build, and a
change of it is a change of those detections alone.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from trapline.config.words import did_you_mean
from trapline.detection.inference.parse import Unreadable, parse, quietly
from trapline.detection.lint import lint_module
from trapline.detection.model import File
from trapline.errors import Problem

FOLDER = "lib"
_NO_DATA = (".py", ".md")  # not brought along only for lying beside a module
_MENTIONED = re.compile(rb"\blib\b")


@dataclass(frozen=True, slots=True)
class _Import:
    """One name that a file imports from `lib`: the module's path, and whether the last part may be a name in it.

    `guarded`: it stands in a `try`, so that the code may do without.
    """

    module: str
    line: int
    column: int
    may_be_name: bool = False
    guarded: bool = False


def shared_files(files: Mapping[str, File]) -> dict[str, File]:
    """What a repository has in `lib/`, by path from its root."""
    return {path: file for path, file in files.items() if path.startswith(f"{FOLDER}/")}


def with_shared(
    path: str, files: Mapping[str, File], shared: Mapping[str, File]
) -> tuple[Mapping[str, File], list[Problem]]:
    """The files of the detection at `path` with those of `lib/` that they import, directly or through each other.

    A detection that has a `lib` of its own uses that one.
    """
    own = {name: file.content for name, file in files.items() if _is_code(name)}
    asked = [(_join(path, name), one) for name, content in own.items() for one in _imports(content, "")]
    if not asked:
        return files, []
    if any(name == f"{FOLDER}.py" or name.startswith(f"{FOLDER}/") for name in files):
        return files, list(_shadowed(path, shared))
    found: dict[str, File] = {}
    problems: list[Problem] = []
    while asked:
        where, wanted = asked.pop(0)
        modules = _modules(wanted, shared)
        if not modules and not wanted.guarded and (shared or "requirements.txt" not in files):
            problems.append(_missing(where, wanted, shared))
        for name in modules:
            if name not in found:
                found[name] = shared[name]
                problems += _checked(name, shared[name])
                asked += [(name, one) for one in _imports(shared[name].content, _package(name))]
    for folder in {posixpath.dirname(name) for name in found}:
        found |= {name: file for name, file in shared.items() if _is_data(name, folder) and not file.absent}
    return {**files, **found}, problems


def _modules(wanted: _Import, shared: Mapping[str, File]) -> list[str]:
    """The files that an import runs, packages around it first; none where there is no such module."""
    target = _file_of(wanted.module, shared)
    if target is None and wanted.may_be_name:
        target = _file_of(wanted.module.rpartition(".")[0], shared)
    if target is None:
        return []
    parts = target.split("/")[:-1]
    around = ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts) + 1)]
    return [name for name in dict.fromkeys([*around, target]) if name in shared]


def _file_of(module: str, shared: Mapping[str, File]) -> str | None:
    base = module.replace(".", "/")
    return next((name for name in (f"{base}/__init__.py", f"{base}.py") if name in shared), None)


@lru_cache(maxsize=10_000)  # a new revision changes few of its files
def _imports(source: bytes, package: str) -> tuple[_Import, ...]:
    """What a file imports of `lib`. `package` is the one that it is in, where it is itself in there."""
    if not package and not _MENTIONED.search(source):
        return ()
    try:
        with quietly():
            tree = parse(source)
    except Unreadable:  # which is said elsewhere
        return ()
    guarded = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    return tuple(one for node in ast.walk(tree) for one in _named(node, package, guarded=id(node) in guarded))


def _named(node: ast.AST, package: str, *, guarded: bool) -> Iterator[_Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if _is_ours(alias.name) and alias.name != FOLDER:
                yield _Import(alias.name, node.lineno, node.col_offset + 1, guarded=guarded)
    elif isinstance(node, ast.ImportFrom):
        module = _absolute(node, package)
        if module is None or not _is_ours(module):
            return
        for alias in node.names:
            full = module if alias.name == "*" else f"{module}.{alias.name}"
            yield _Import(full, node.lineno, node.col_offset + 1, alias.name != "*", guarded)


def _absolute(node: ast.ImportFrom, package: str) -> str | None:
    """The module that `from` names; None for a relative one that leads out of the package."""
    if not node.level:
        return node.module
    parts = package.split(".")
    if not package or node.level > len(parts):
        return None
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _is_ours(module: str) -> bool:
    return module == FOLDER or module.startswith(f"{FOLDER}.")


def _package(name: str) -> str:
    return posixpath.dirname(name).replace("/", ".")


def _is_code(name: str) -> bool:
    return name.endswith(".py")


def _is_data(name: str, folder: str) -> bool:
    return posixpath.dirname(name) == folder and not name.endswith(_NO_DATA)


def _checked(name: str, file: File) -> list[Problem]:
    if file.absent:
        remedy = "replace it with a plain file within the limits, or import something else"
        return [Problem(name, 0, "error", "file-not-read", f"{name} {file.absent}", remedy)]
    return lint_module(name, file.content)


def _missing(where: str, wanted: _Import, shared: Mapping[str, File]) -> Problem:
    module = wanted.module
    if wanted.may_be_name and module.count(".") > 1:
        module = module.rpartition(".")[0]
    known = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in shared if _is_code(name)]
    place = f"{module.replace('.', '/')}.py"
    remedy = did_you_mean(module, known) or f"add {place} to the repository, or correct the import"
    message = f"there is no {place} in the repository"
    return Problem(where, wanted.line, "error", "no-such-module", message, remedy, wanted.column)


def _shadowed(path: str, shared: Mapping[str, File]) -> Iterator[Problem]:
    if shared:
        message = f"the detection has a {FOLDER} of its own, so that it can import nothing of the repository's"
        yield Problem(_join(path, FOLDER), 0, "warning", "own-lib", message, "rename one of the two")


def _join(path: str, name: str) -> str:
    return name if path == "." else f"{path}/{name}"
