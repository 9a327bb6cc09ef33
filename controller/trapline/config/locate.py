"""Where a key stands in a YAML or TOML text that is known to be valid. Used only once there is a problem to report."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence

import yaml

from trapline.config.strict import LOADER

Keys = Sequence[str | int]
Place = tuple[int, int]  # line and column from 1; (0, 0) is the file as a whole
Locate = Callable[[Keys], Place]
NOWHERE: Place = (0, 0)


def yaml_places(text: str) -> Locate:
    """A function from keys to the place of that key or list entry, or of its nearest parent."""
    root = yaml.compose(text, Loader=LOADER)

    def locate(keys: Keys) -> Place:
        place, node = NOWHERE, root
        for key in keys:
            found = _yaml_child(node, key)
            if found is None:
                return place
            marked, node = found
            place = (marked.start_mark.line + 1, marked.start_mark.column + 1) if marked.start_mark else NOWHERE
        return place

    return locate


def _yaml_child(node: yaml.Node | None, key: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """What marks the place of a child, and the child itself."""
    if isinstance(node, yaml.MappingNode):
        return next(((name, value) for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key]
    return None


def toml_places(text: str) -> Locate:
    """A function from keys to the place of that key or list entry, or of its nearest parent."""
    places = _TomlPlaces(text).places

    def locate(keys: Keys) -> Place:
        nearest = (places[path] for length in range(len(keys), 0, -1) if (path := tuple(keys[:length])) in places)
        return next(nearest, NOWHERE)

    return locate


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t]+|\#[^\n]*)
  | (?P<newline>\r?\n)
  | (?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
  | (?P<punctuation>[\[\]{}=,.])
  | (?P<bare>[^\s\[\]{}=,."'\#]+)
    """,
    re.VERBOSE | re.DOTALL,
)


class _TomlPlaces:
    """Walks the tokens of a valid TOML text once and notes where every key and list entry begins."""

    def __init__(self, text: str) -> None:
        self.places: dict[tuple[str | int, ...], Place] = {}
        self._counts: dict[tuple[str | int, ...], int] = {}  # entries of each [[array of tables]] so far
        self._tokens = self._scan(text)
        self._advance()
        prefix: tuple[str | int, ...] = ()
        while self._word:
            if self._word == "[":
                prefix = self._header()
            elif self._kind == "newline":
                self._advance()
            else:
                self._pair(prefix)

    @staticmethod
    def _scan(text: str) -> Iterator[tuple[str, str, Place]]:
        line, start = 1, 0
        for match in _TOKEN.finditer(text):
            kind, token = str(match.lastgroup), match.group()
            if kind != "space":
                yield kind, token, (line, match.start() - start + 1)
            if "\n" in token:
                line += token.count("\n")
                start = match.start() + token.rindex("\n") + 1

    def _advance(self) -> None:
        self._kind, self._word, self._place = next(self._tokens, ("end", "", NOWHERE))

    def _header(self) -> tuple[str | int, ...]:
        place = self._place
        self._advance()
        if is_array := self._word == "[":
            self._advance()
        path: tuple[str | int, ...] = ()
        keys = self._key("]")
        for position, key in enumerate(keys, 1):
            path = (*path, key)
            self.places.setdefault(path, place)
            if is_array and position == len(keys):
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self.places.setdefault(path, place)
        return path

    def _key(self, end: str) -> list[str]:
        """A dotted key's parts; leaves off at `end` of the same line."""
        parts = []
        while self._word and self._word != end and self._kind != "newline":
            if self._kind == "string":
                parts.append(str(tomllib.loads(f"key = {self._word}")["key"]))
            elif self._kind == "bare":
                parts.append(self._word)
            self._advance()
        while self._word == end:
            self._advance()
        return parts

    def _pair(self, prefix: tuple[str | int, ...]) -> None:
        place, path = self._place, prefix
        for key in self._key("="):
            path = (*path, key)
            self.places.setdefault(path, place)
        self._value(path)

    def _value(self, path: tuple[str | int, ...]) -> None:
        opening = self._word
        if opening not in ("[", "{"):
            while self._word and self._word not in (",", "]", "}") and self._kind != "newline":
                self._advance()
            return
        self._advance()
        index = 0
        while self._word and self._word not in ("]", "}"):
            if self._word == "," or self._kind == "newline":
                self._advance()
            elif opening == "[":
                self.places[(*path, index)] = self._place
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
        self._advance()
