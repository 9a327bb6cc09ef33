"""References to secrets: `${env:NAME}` and `${file:PATH}`. Values are read only when asked for, and never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trapline.config.words import Path as Keys
from trapline.config.words import dotted
from trapline.errors import TraplineError

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_KNOWN = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\0]+")
_MAX_BYTES = 64 * 1024


class SecretError(TraplineError):
    """A secret that is not there. The message names the reference, never a value."""


class Secret(str):
    """A text with a secret in it; whoever prints the object sees asterisks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def references(options: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Every `${...}` in the options, with its place."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from references(value, (*keys, str(key)))
    elif isinstance(options, list | tuple):
        for index, value in enumerate(options):
            yield from references(value, (*keys, index))
    elif isinstance(options, str):
        yield from ((keys, reference) for reference in _REFERENCE.findall(options))


def is_reference(reference: str) -> bool:
    """Whether the inside of a `${...}` has a form that can be resolved."""
    return _KNOWN.fullmatch(reference) is not None


def resolve_secrets(options: Mapping[str, Any], env: Mapping[str, str], *, destination: str = "") -> dict[str, Any]:
    """The options with every reference replaced. Raises SecretError where one cannot be."""

    def resolved(value: Any, keys: Keys) -> Any:
        if isinstance(value, Mapping):
            return {key: resolved(entry, (*keys, str(key))) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [resolved(entry, (*keys, index)) for index, entry in enumerate(value)]
        if isinstance(value, str) and _REFERENCE.search(value):
            return Secret(_REFERENCE.sub(lambda match: _read(match[1], env, destination, keys), value))
        return value

    return {key: resolved(value, (key,)) for key, value in options.items()}


def _read(reference: str, env: Mapping[str, str], destination: str, keys: Keys) -> str:
    of = f" of destination {destination}" if destination else ""
    where = f"`{dotted(keys)}`{of} refers to ${{{reference}}}"
    if not is_reference(reference):
        raise SecretError(f"{where}, which is no reference", remedy="write ${env:NAME} or ${file:PATH}")
    kind, _, name = reference.partition(":")
    if kind == "env":
        if name not in env:
            raise SecretError(f"{where}, and {name} is not set", remedy=f"set {name} in the controller's environment")
        return env[name]
    try:
        with Path(name).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise SecretError(f"{where}, and the file is larger than {_MAX_BYTES} bytes", remedy="name the right file")
        return content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SecretError(
            f"{where}, which cannot be read: {why}", remedy="make it readable for the controller"
        ) from None
