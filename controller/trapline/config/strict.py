"""What YAML allows and a config must not: duplicate keys, alias bombs, endless nesting, several documents."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 64  # libyaml's composer recurses in C: a few ten thousand levels end the process
MAX_NODES = 100_000


class StrictnessError(Exception):
    """Valid YAML that is refused."""

    def __init__(self, event: yaml.Event, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code, self.message, self.remedy = code, message, remedy
        self.line, self.column = _line(event), event.start_mark.column + 1 if event.start_mark else 0


@dataclass
class _Open:
    """A collection whose end has not come yet: its keys so far with their lines (None for a sequence)."""

    anchor: str | None
    keys: dict[str, int] | None
    nodes: int = 1  # an alias counts for all that it stands for
    at_key: bool = True


def check_events(text: str) -> None:
    """Raises StrictnessError (or a YAMLError) in one pass over the events, before anything is built from them."""
    stack = [_Open(None, None)]
    sizes: dict[str, int] = {}  # anchor -> number of nodes it stands for
    documents = 0
    for event in yaml.parse(text, Loader=LOADER):
        match event:
            case yaml.ScalarEvent():  # first, since most events are
                if event.anchor:
                    sizes[event.anchor] = 1
                _add(stack[-1], event, 1)
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    message = "a second document begins here"
                    raise StrictnessError(event, "yaml-documents", message, "keep one document; remove the `---`")
            case yaml.AliasEvent():
                if event.anchor in {collection.anchor for collection in stack}:
                    message = f"`*{event.anchor}` stands inside of what it names"
                    raise StrictnessError(event, "yaml-recursion", message, "write the value out")
                _add(stack[-1], event, sizes.get(event.anchor or "", 1))
            case yaml.CollectionStartEvent():
                if len(stack) > MAX_DEPTH:
                    message = f"the file is nested more than {MAX_DEPTH} levels deep"
                    raise StrictnessError(event, "too-deep", message, "flatten it")
                stack.append(_Open(event.anchor, {} if isinstance(event, yaml.MappingStartEvent) else None))
            case yaml.CollectionEndEvent():
                done = stack.pop()
                if done.anchor:
                    sizes[done.anchor] = done.nodes
                _add(stack[-1], event, done.nodes)


def _add(parent: _Open, event: yaml.Event, nodes: int) -> None:
    parent.nodes += nodes
    if parent.nodes > MAX_NODES:
        message = f"the file stands for more than {MAX_NODES:,} values"
        raise StrictnessError(event, "too-large", message, "use fewer aliases (`*name`) and shorter lists")
    if parent.keys is None:
        return
    if parent.at_key and isinstance(event, yaml.ScalarEvent):
        if event.value in parent.keys:
            message = f"`{event.value}` is given twice, first in line {parent.keys[event.value]}"
            raise StrictnessError(event, "duplicate-key", message, "keep one of the two")
        parent.keys[event.value] = _line(event)
    parent.at_key = not parent.at_key


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0
