"""Changes of a YAML text that leave every line alone which they need not touch. Pure.

The text as a whole is not loaded and dumped again, which drops the comments beside what is taken away, and writes what
nobody changed in ways of its own: a change alone is dumped, and put where the parser says that its neighbours stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from textwrap import dedent
from typing import Any, Literal

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString

Keys = tuple[str | int, ...]

_INDENT = 2
_DASH = 2  # a dash and the space behind it
_ENDLESS = 2**20  # characters; no line is broken for its length
_REST_OF_LINE = re.compile(r"[^\r\n\x85\u2028\u2029]*")
_LINE_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Put:
    """Sets the value of a key; what is missing on the way there is made."""

    keys: Keys
    value: Any


@dataclass(frozen=True, slots=True)
class Append:
    """Adds an entry to a list, which is made where it is missing."""

    keys: Keys
    value: Any


@dataclass(frozen=True, slots=True)
class Remove:
    """Takes away a key, or an entry of a list by its index; and what is around it and left empty, `within` excepted."""

    keys: Keys
    within: Keys = ()


Change = Put | Append | Remove


class NotSpliced(Exception):
    """The text is written in a way that the change cannot be put into."""


@dataclass(slots=True)
class _Node:
    """A value with its place: offsets into the text, and the column that it begins in.

    A block ends where the last value in it does. Of a mapping `members` are keys and values, of a list the entries.
    """

    kind: Literal["mapping", "list", "scalar", "alias"]
    start: int
    end: int
    column: int
    is_flow: bool = False
    value: str = ""
    members: list[tuple[_Node | None, _Node]] = field(default_factory=list)

    def child(self, key: str | int) -> int | None:
        """Which member has this key, or is this entry."""
        if isinstance(key, int):
            return key if self.kind == "list" and key < len(self.members) else None
        named = (n for n, (name, _) in enumerate(self.members) if name and name.value == key)
        return next(named, None) if self.kind == "mapping" else None

    def span(self, index: int) -> tuple[int, int]:
        """Where a member begins and ends."""
        key, value = self.members[index]
        return (key or value).start, max(value.end, key.end if key else 0)


def splice(text: str, change: Change) -> str:
    """The text with a change made. Raises NotSpliced; the text is one that `read_document` can read."""
    root = _tree(text)
    if isinstance(change, Remove):
        return _remove(text, root, change)
    if root is None:
        return _after_all(text, _written({str(change.keys[0]): _nested(change.keys[1:], change)}, None))
    node = root
    for depth, key in enumerate(change.keys):
        index = node.child(key)
        if index is None:
            return _add(text, root, node, {key: _nested(change.keys[depth + 1 :], change)})
        name, value = node.members[index]
        assert name is not None
        if value.kind == "scalar" and not value.value and value.start == value.end:
            return _fill(text, root, name, _nested(change.keys[depth + 1 :], change))
        node = value
    if isinstance(change, Append):
        return _add(text, root, node, [change.value])
    return text[: node.start] + _scalar(change.value, like=text[node.start : node.end]) + text[node.end :]


def snippet(change: Change) -> str:
    """What somebody writes by hand where `splice` cannot."""
    if isinstance(change, Remove):
        return f"remove {'.'.join(str(key) for key in change.keys)}"
    return "\n".join(_written(_nested(change.keys, change), None))


def _nested(keys: Keys, change: Put | Append) -> Any:
    value = [change.value] if isinstance(change, Append) else change.value
    for key in reversed(keys):
        value = {key: value}
    return value


def _tree(text: str) -> _Node | None:
    """The values of the one document, None where there is none. An alias is a value of its own, where it stands."""
    stack = [_Node("list", 0, 0, 0)]
    pending: list[_Node | None] = [None]  # of every open mapping, the key that waits for its value

    def add(node: _Node) -> None:
        parent = stack[-1]
        if parent.kind == "mapping" and pending[-1] is None:
            pending[-1] = node
            return
        parent.members.append((pending[-1], node))
        pending[-1] = None

    for event in _events(text):
        if event.start_mark is None or event.end_mark is None:
            continue
        start, end, column = event.start_mark.index, event.end_mark.index, event.start_mark.column
        match event:
            case ScalarEvent():
                if event.style in ("|", ">"):
                    end = start + len(text[start:end].rstrip())
                add(_Node("scalar", start, end, column, value=event.value))
            case AliasEvent():
                add(_Node("alias", start, end, column))
            case MappingStartEvent() | SequenceStartEvent():
                kind: Literal["mapping", "list"] = "mapping" if isinstance(event, MappingStartEvent) else "list"
                stack.append(_Node(kind, start, end, column, bool(event.flow_style)))
                pending.append(None)
            case MappingEndEvent() | SequenceEndEvent():
                node = stack.pop()
                pending.pop()
                node.end = end if node.is_flow else node.span(-1)[1]
                if not node.is_flow and node.kind == "mapping" and node.members[0][0]:
                    node.column = _column(text, node.members[0][0].start)  # an anchor before it may stand elsewhere
                add(node)
    return stack[0].members[0][1] if stack[0].members else None


def _events(text: str) -> Iterator[Event]:
    """Raises NotSpliced for what only the parser of YAML 1.1 takes, such as a tab before a colon."""
    try:
        yield from YAML().parse(text)
    except YAMLError:
        raise NotSpliced from None


def _add(text: str, root: _Node, node: _Node, value: Mapping[str | int, Any] | Sequence[Any]) -> str:
    """Puts members at the end of a collection."""
    if node.kind != ("mapping" if isinstance(value, Mapping) else "list"):
        raise NotSpliced
    if node.is_flow:
        inner = _flow(value)
        if not node.members:
            return text[: node.start + 1] + inner + text[node.end - 1 :]
        last = node.span(-1)[1]
        return f"{text[:last]}, {inner}{text[last:]}"
    lines = _written(value, root)
    at = _below(text, node.span(-1)[1], node.column)
    apart = [""] if node is root and _is_airy(text) else []
    return _put_lines(text, at, [*apart, *(" " * node.column + line for line in lines)])


def _fill(text: str, root: _Node, name: _Node, value: Any) -> str:
    """Puts a value behind a key that has none."""
    colon = re.compile(r"\s*:").match(text, name.end)
    if colon is None:
        raise NotSpliced
    if not isinstance(value, Mapping | list | tuple):
        return f"{text[: colon.end()]} {_scalar(value)}{text[colon.end() :]}"
    column = _column(text, name.start)
    if text[_line_start(text, name.start) : name.start].strip():
        raise NotSpliced
    step = _step(root) if isinstance(value, Mapping) else _offset(root)
    lines = [" " * (column + step) + line for line in _written(value, root)]
    return _put_lines(text, _line_end(text, colon.end()), lines)


def _remove(text: str, root: _Node | None, change: Remove) -> str:
    if root is None:
        raise NotSpliced
    path: list[tuple[_Node, int]] = []
    node = root
    for key in change.keys:
        index = node.child(key)
        if index is None:
            raise NotSpliced
        path.append((node, index))
        node = node.members[index][1]
    while len(path) > len(change.within) + 1 and len(path[-1][0].members) == 1:
        path.pop()
    parent, index = path[-1]
    start, end = parent.span(index)
    before = text[_line_start(text, start) : start]
    if parent.is_flow:
        behind = re.compile(r"[ \t]*,?[ \t]*(?:#.*)?").match(text, end)
        if len(parent.members) > 1 and not before.strip() and behind and behind.end() == _line_end(text, end):
            return _without_lines(text, start, end)
        if index + 1 < len(parent.members):
            return text[:start] + text[parent.span(index + 1)[0] :]
        return text[: parent.span(index - 1)[1] if index else start] + text[end:]
    if before.strip(" ") not in ("", "-"):
        raise NotSpliced
    return _without_lines(text, start, end)


def _without_lines(text: str, start: int, end: int) -> str:
    first, last = _line_start(text, start), _line_end(text, end)
    if after := _LINE_BREAK.match(text, last):
        return text[:first] + text[after.end() :]
    return text[:first].removesuffix("\n").removesuffix("\r")  # nor did the last line end with a line break before


def _below(text: str, at: int, column: int) -> int:
    """The end of the line that a value ends in; of the comments beneath it where these are indented further."""
    end = _line_end(text, at)
    while (after := _LINE_BREAK.match(text, end)) and (line := _REST_OF_LINE.match(text, after.end())):
        stripped = line.group().lstrip(" ")
        if not stripped.startswith("#") or len(line.group()) - len(stripped) <= column:
            break
        end = line.end()
    return end


def _put_lines(text: str, at: int, lines: Sequence[str]) -> str:
    """Lines put in behind the one that ends at an offset, with the line breaks that the text has."""
    broken = _LINE_BREAK.search(text)
    newline = broken.group() if broken else "\n"
    return text[:at] + "".join(f"{newline}{line.rstrip()}" for line in lines) + text[at:]


def _after_all(text: str, lines: Sequence[str]) -> str:
    if not text:
        return "\n".join([*lines, ""])
    return _put_lines(text, len(text.rstrip("\r\n")), lines)


def _is_airy(text: str) -> bool:
    return bool(re.search(r"(\r?\n)[ \t]*\1", text))


def _line_start(text: str, at: int) -> int:
    return max((text.rfind(mark, 0, at) for mark in "\r\n\x85\u2028\u2029"), default=-1) + 1


def _line_end(text: str, at: int) -> int:
    rest = _REST_OF_LINE.match(text, at)
    assert rest is not None
    return rest.end()


def _column(text: str, at: int) -> int:
    return at - _line_start(text, at)


def _blocks(node: _Node) -> Iterator[tuple[_Node, _Node]]:
    """Every block that is the value of a key in a block, with the mapping that the key is in."""
    for _, value in node.members:
        if value.kind in ("mapping", "list") and not value.is_flow:
            if node.kind == "mapping":
                yield node, value
            yield from _blocks(value)


def _step(root: _Node | None) -> int:
    """How much further the file indents a mapping in a mapping."""
    steps = (value.column - outer.column for outer, value in _blocks(root) if value.kind == "mapping") if root else ()
    return next((step for step in steps if step > 0), _INDENT)


def _offset(root: _Node | None) -> int:
    """How much further the file indents the dashes of a list."""
    steps = (value.column - outer.column for outer, value in _blocks(root) if value.kind == "list") if root else ()
    return next((step for step in steps if step >= 0), _INDENT)


def _written(value: Any, root: _Node | None) -> list[str]:
    """The lines of a collection as a block, indented as the file is."""
    text = _dumped(_block(value), step=_step(root), offset=_offset(root))
    return dedent(text).splitlines()  # a list by itself is indented as one in a mapping


def _flow(value: Mapping[Any, Any] | Sequence[Any]) -> str:
    """What stands between the braces or brackets of a collection."""
    block = _block(value)
    block.fa.set_flow_style()
    return _dumped(block).strip()[1:-1]


def _scalar(value: Any, *, like: str = "") -> str:
    """A text or truth value, in quotes where it needs some, or where the one in its place had some."""
    quoted = {"'": SingleQuotedScalarString, '"': DoubleQuotedScalarString}.get(like[:1])
    written = quoted(value) if quoted and isinstance(value, str) else _block(value)
    return _dumped(CommentedMap(key=written)).removeprefix("key: ").removesuffix("\n")


def _dumped(value: Any, *, step: int = _INDENT, offset: int = _INDENT) -> str:
    form, text = YAML(), StringIO()
    form.width = _ENDLESS
    form.indent(mapping=step, sequence=offset + _DASH, offset=offset)
    form.dump(value, text)
    return text.getvalue()


def _block(value: Any) -> Any:
    """A value as it is dumped: a text of several lines as they are, and in quotes what else would be read otherwise."""
    if isinstance(value, Mapping):
        return CommentedMap((key, _block(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return CommentedSeq(_block(inner) for inner in value)
    if not isinstance(value, str):
        return value
    if "\n" in value:
        return LiteralScalarString(value)
    return SingleQuotedScalarString(value) if _reads_otherwise(value) else value


def _reads_otherwise(text: str) -> bool:
    """Whether a plain text is something else to the parser that reads the file, which knows YAML 1.1: `on`, `12`."""
    try:
        return not isinstance(yaml.safe_load(text), str)
    except yaml.YAMLError:
        return False  # it is not dumped as a plain one
