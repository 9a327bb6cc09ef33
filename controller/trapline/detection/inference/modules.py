"""The modules of a detection: its script, and what it imports of its own files and of `lib/`.

A name means what it means in the module that uses it, so each has `Names` of its own; an imported name stands for what
it stands for where it comes from. Of modules that import each other, the one that is read first knows nothing of the
other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from trapline.detection.inference.names import (
    Imported,
    Module,
    Names,
    names_of,
    spelled,
)
from trapline.detection.inference.parse import parse

_NOT_OURS = sys.stdlib_module_names | {"trapline_sandbox"}
"""Python looks for these elsewhere first, whatever a detection calls its files."""


ALONE: Mapping[str, bytes] = {}
"""The other files of a detection that has none."""


def names_of_script(source: bytes | str, modules: Mapping[str, bytes] = ALONE) -> Names | None:
    """The names of a script. `modules` are the other Python files of its detection, by their paths.

    None where some of this code may change what names stand for, in ways that cannot be seen. Raises Unreadable.
    """
    program = _Program(modules)
    return program.names if program.add("", source) else None


@dataclass(frozen=True, slots=True)
class _Import:
    """The module at `path` is imported. As far as a name is bound by that, `spelling` is what the importer writes for
    the module, or, where there is a `name`, for what has that name in it.

    `unless`: files with a name, which would be meant instead if the file binds it.
    """

    path: str
    spelling: str = ""
    name: str = ""
    unless: tuple[tuple[str, str], ...] = ()


class _Program:
    """All modules that a script imports."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._modules: dict[str, Module] = {}
        self._touched: set[str] = set()
        self._leaky = False

    def add(self, path: str, source: bytes | str) -> bool:
        """Reads a module with all that it imports; gives whether no name of them changes out of sight."""
        module = self._modules[path] = _read(source)
        if module.reaches_anything:
            return False
        imports = list(self._imported(module.nodes, path))
        self._touched |= module.attributes | _handed_on(module, imports)
        whole = {each.spelling for each in imports if not each.name} - {""}
        self._leaky = self._leaky or _is_leaky(module.nodes, whole)
        return all(each.path in self._modules or self.add(each.path, self._files[each.path]) for each in imports)

    @property
    def names(self) -> Names:
        """Those of the script, once it is read."""
        if self._leaky:
            self._touched.update(*(module.bound for module in self._modules.values()))
        return self._names("", {})

    def _names(self, path: str, found: dict[str, Names]) -> Names:
        """What a module imports comes first."""
        module = self._modules[path]
        found[path] = Names(path)
        imports = list(self._imported(module.tree.body, path))
        for each in imports:
            if each.path not in found:
                self._names(each.path, found)
        imported: list[Imported] = [
            (each.spelling, found[each.path], each.name)
            for each in imports
            if each.spelling and not any(name in self._modules[other].bound for other, name in each.unless)
        ]
        found[path] = names_of(module, path, imported, touched=self._touched, rebound=self._inside(path))
        return found[path]

    # Imports

    def _imported(self, nodes: Sequence[ast.AST], path: str) -> Iterator[_Import]:
        """What these nodes import of the detection's own modules."""
        for node in nodes:
            match node:
                case ast.Import(names):
                    for alias in names:
                        yield from self._whole(alias.name, alias.asname)
                case ast.ImportFrom(module, names, level):
                    absolute = _absolute(module, level, path)
                    for alias in names if absolute else ():
                        yield from self._part(absolute, alias.name, alias.asname or alias.name)

    def _whole(self, module: str, asname: str | None) -> Iterator[_Import]:
        """`import module`: with every package around it, each of which may have something else by the next name."""
        parts = module.split(".")
        unless: list[tuple[str, str]] = []
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if path := self._file(name):
                spelling = name if asname is None else asname if depth == len(parts) else ""
                yield _Import(path, spelling, unless=tuple(unless))
                unless += [(path, part) for part in parts[depth : depth + 1]]

    def _part(self, module: str, name: str, spelling: str) -> Iterator[_Import]:
        """`from module import name`: something in the module, or a module in the package."""
        for each in self._whole(module, ""):
            yield _Import(each.path)
        holder, inner = self._file(module), self._file(f"{module}.{name}")
        if inner:
            yield _Import(inner, spelling, unless=((holder, name),) if holder else ())
        elif holder:
            yield _Import(holder, spelling, name)

    def _file(self, module: str) -> str:
        """The path of a module; empty where it is none of the detection's own."""
        if module.split(".")[0] in _NOT_OURS:
            return ""
        base = module.replace(".", "/")
        return next((path for path in (f"{base}/__init__.py", f"{base}.py") if path in self._files), "")

    def _inside(self, path: str) -> set[str]:
        """The names of what lies in a package: once it is imported, that is what they stand for in there."""
        folder, _, name = path.rpartition("/")
        if name != "__init__.py":
            return set()
        inside = (other.removeprefix(f"{folder}/") for other in self._files if other.startswith(f"{folder}/"))
        return {other.split("/")[0].removesuffix(".py") for other in inside}


def _absolute(module: str | None, level: int, path: str) -> str:
    """The module that a `from` names; empty where it leads out of the package."""
    if not level:
        return module or ""
    package = path.split("/")[:-1]
    if len(package) < level:
        return ""
    return ".".join([*package[: len(package) - level + 1], *([module] if module else [])])


@lru_cache(maxsize=100)  # many detections import the same, and of a script more than one thing is asked
def _read(source: bytes | str) -> Module:
    return Module.of(parse(source))


def _handed_on(module: Module, imports: Sequence[_Import]) -> set[str]:
    """What a module imports by its name and does more with than to look into it; another name for it is as much."""
    looked = module.looked_into
    return {each.name for each in imports if each.name and not (each.spelling == each.name in looked)}


def _is_leaky(nodes: Sequence[ast.AST], modules: set[str]) -> bool:
    """Whether one of the modules is used as a value, so that anybody may get at what is in it."""
    holders = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    return any(id(node) not in holders and spelled(node) in modules for node in nodes)
