"""References to secrets: in the environment, in files, and at AWS. Read only when asked for, and never shown.

${env:NAME}   ${file:PATH}   ${secretsmanager:NAME#key}   ${ssm:/path/name?region=eu-west-1}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from trapline.config.words import Path as Keys
from trapline.config.words import dotted
from trapline.errors import TraplineError

FORMS = "${env:NAME}, ${file:PATH}, ${secretsmanager:NAME#key} or ${ssm:/path/name}"

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_KNOWN = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\0]+")
_AWS = re.compile(
    r"(?P<service>secretsmanager|ssm):(?P<name>[\w/+=.@:-]+)(\?region=(?P<region>[a-z0-9-]+))?(#(?P<key>.+))?", re.ASCII
)
_MAX_BYTES = 64 * 1024
_resolved: set[str] = set()


class SecretError(TraplineError):
    """A secret that is not there. The message names the reference, never a value."""


class Unreadable(Exception):
    """Why a secret cannot be read, in words that follow its reference, and what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Secret(str):
    """A text with a secret in it; whoever prints the object sees asterisks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


@dataclass(frozen=True, slots=True)
class AwsReference:
    """A secret that AWS keeps. Without a region it is the one that its ARN names, or else the environment's."""

    service: Literal["secretsmanager", "ssm"]
    name: str
    region: str = ""
    key: str = ""
    """Which entry, where the secret is a JSON object."""

    @classmethod
    def parse(cls, reference: str) -> AwsReference | None:
        """None where it is no reference to AWS."""
        found = _AWS.fullmatch(reference)
        if found is None:
            return None
        of_arn = found["name"].split(":")[3:4] if found["name"].startswith("arn:") else []
        service = cast(Literal["secretsmanager", "ssm"], found["service"])
        return cls(service, found["name"], found["region"] or "".join(of_arn), found["key"] or "")


def resolved_so_far() -> frozenset[str]:
    """Every secret that this process has read: none of them belongs into a log."""
    return frozenset(_resolved)


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
    return _KNOWN.fullmatch(reference) is not None or AwsReference.parse(reference) is not None


def resolve_secrets(
    options: Mapping[str, Any], env: Mapping[str, str], *, destination: str = "", ask_aws: bool = True
) -> dict[str, Any]:
    """The options with every reference replaced. Raises SecretError where one cannot be."""

    def read(reference: str, keys: Keys) -> str:
        try:
            secret = _value(reference, env, ask_aws)
        except Unreadable as error:
            of = f" of destination {destination}" if destination else ""
            where = f"`{dotted(keys)}`{of} refers to ${{{reference}}}"
            raise SecretError(f"{where}, {error.reason}", remedy=error.remedy) from None
        _resolved.add(secret)
        return secret

    def resolved(value: Any, keys: Keys) -> Any:
        if isinstance(value, Mapping):
            return {key: resolved(entry, (*keys, str(key))) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [resolved(entry, (*keys, index)) for index, entry in enumerate(value)]
        if isinstance(value, str) and _REFERENCE.search(value):
            return Secret(_REFERENCE.sub(lambda match: read(match[1], keys), value))
        return value

    return {key: resolved(value, (key,)) for key, value in options.items()}


def _value(reference: str, env: Mapping[str, str], ask_aws: bool) -> str:
    if not is_reference(reference):
        raise Unreadable("which is no reference", f"write {FORMS}")
    if aws := AwsReference.parse(reference):
        if not ask_aws:
            raise Unreadable("and AWS is not asked", "see whether it is there where the controller runs")
        from trapline.config.aws_secrets import shared  # takes a moment to import, and few need it

        return shared().read(aws)
    kind, _, name = reference.partition(":")
    if kind == "file":
        return _content(Path(name))
    if name not in env:
        raise Unreadable(f"and {name} is not set", f"set {name} in the controller's environment")
    return env[name]


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise Unreadable(f"and the file is larger than {_MAX_BYTES} bytes", "name the right file")
        return content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Unreadable(f"which cannot be read: {why}", "make it readable for the controller") from None
