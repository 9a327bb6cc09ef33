"""A YAML or TOML file read strictly: plain data, and the place of every key in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import yaml

from trapline.config.locate import Keys, Locate, Place, toml_places, yaml_places
from trapline.config.strict import LOADER, StrictnessError, check_events
from trapline.errors import Problem, Severity, TraplineError

MAX_BYTES = 1024 * 1024
# The standard TOML reader takes quadratic time over the parts of one dotted key.
_ENDLESS_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*\.[ \t]*){100}""")
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class UnreadableConfig(TraplineError):
    """A config file that cannot be read at all; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True)
class Document:
    """One config file. `data` is what it says; `moved` maps keys of `data` to where they stand in the file."""

    path: str
    text: str
    data: Mapping[str, Any]
    warnings: tuple[Problem, ...] = ()
    moved: Mapping[tuple[str | int, ...], tuple[str | int, ...]] = field(default_factory=dict)

    @property
    def is_toml(self) -> bool:
        return self.path.endswith(".toml")

    def place(self, keys: Keys) -> Place:
        """The line and column of a key or list entry; of its nearest parent where it is not in the file."""
        keys = tuple(keys)
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.moved:
                keys = self.moved[keys[:length]] + keys[length:]
                break
        return self._locate(keys)

    @cached_property
    def _locate(self) -> Locate:
        return toml_places(self.text) if self.is_toml else yaml_places(self.text)

    def problem(
        self, keys: Keys, code: str, message: str, remedy: str = "", *, severity: Severity = "error"
    ) -> Problem:
        line, column = self.place(keys)
        return Problem(self.path, line, severity, code, message, remedy, column)


def read_document(path: str, content: bytes) -> Document:
    """Reads a config file, its format told by the suffix. Raises UnreadableConfig, and nothing else."""
    text, warnings = _decode(path, content)
    toml = PurePosixPath(path).suffix == ".toml"
    data = _read_toml(path, text) if toml else _read_yaml(path, text)
    if not data:
        raise _unreadable(path, "empty", "the file says nothing", "fill it in, or delete it")
    return Document(path, text, data, warnings)


def _unreadable(path: str, code: str, message: str, remedy: str, line: int = 0, column: int = 0) -> UnreadableConfig:
    return UnreadableConfig(Problem(path, line, "error", code, message, remedy, column))


def _decode(path: str, content: bytes) -> tuple[str, tuple[Problem, ...]]:
    remedy = "save it as UTF-8, without a byte-order mark"
    if len(content) > MAX_BYTES:
        message = f"the file has {len(content)} bytes, and {MAX_BYTES} are the most"
        raise _unreadable(path, "too-large", message, "move test records or long texts out of it")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable(path, "not-utf8", "the file is UTF-16", remedy)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, "not-utf8", f"byte {error.start} is not UTF-8", remedy, line) from None
    if not text.startswith("\ufeff"):
        return text, ()
    mark = Problem(path, 1, "warning", "byte-order-mark", "the file begins with a byte-order mark", remedy)
    return text[1:], (mark,)


def _read_yaml(path: str, text: str) -> Mapping[str, Any]:
    try:
        check_events(text)
        data = yaml.load(text, Loader=LOADER)  # noqa: S506 - it is a safe loader
    except StrictnessError as error:
        raise _unreadable(path, error.code, error.message, error.remedy, error.line, error.column) from None
    except yaml.MarkedYAMLError as error:
        raise _yaml_error(path, text, error) from None
    except yaml.reader.ReaderError as error:
        message = f"the character U+{ord(str(error.character)[:1] or chr(0)):04X} is not allowed in YAML"
        raise _unreadable(path, "yaml-syntax", message, "remove it") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, AttributeError) as error:
        # PyYAML's own readers of dates and numbers let some impossible values through to Python.
        raise _unreadable(path, "yaml-value", f"a value cannot be read: {error}", "put it in quotes") from None
    if data is not None and not isinstance(data, dict):
        remedy = "begin with keys, such as `name: my_detection`"
        raise _unreadable(path, "no-mapping", "the file holds no keys at its top level", remedy, 1)
    return data or {}


def _yaml_error(path: str, text: str, error: yaml.MarkedYAMLError) -> UnreadableConfig:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    lines = text.splitlines()
    if line and line <= len(lines) and "\t" in lines[line - 1][:column]:
        return _unreadable(path, "yaml-tab", "a tab where YAML wants spaces", "indent with spaces", line, column)
    said = ", ".join(str(part) for part in (error.context, error.problem) if part)
    remedy = "check the indentation and quotes here and in the line before"
    return _unreadable(path, "yaml-syntax", f"not valid YAML: {said}", remedy, line, column)


def _read_toml(path: str, text: str) -> Mapping[str, Any]:
    if _ENDLESS_KEY.search(text):
        raise _unreadable(path, "too-deep", "a dotted key has more than 100 parts", "shorten it")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, place = str(error), _TOML_PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place and place[1] else (text.count("\n") + 1, 0)
        said = message[: place.start()] if place else message
        remedy = "check quotes, brackets and `=` here and in the line before"
        raise _unreadable(path, "toml-syntax", f"not valid TOML: {said}", remedy, line, column) from None
    except (RecursionError, ValueError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _unreadable(path, "toml-value", f"a value cannot be read: {said}", "simplify it") from None


def present(data: Mapping[str, Any], groups: Sequence[str] = ()) -> dict[str, Any]:
    """The data without empty (null) keys, at the top and in the named groups: an empty key is as good as none."""
    kept = {key: value for key, value in data.items() if value is not None}
    for group in groups:
        if isinstance(kept.get(group), dict):
            kept[group] = present(kept[group])
    return kept
