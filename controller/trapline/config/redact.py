"""Keeping secrets out of what is shown and kept: reasons, problems, logs, tracebacks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, SecretBytes, SecretStr

from trapline.config.secrets import Secret, resolved_so_far

HIDDEN = "**********"
_LONG_ENOUGH = 6  # a shorter part of a secret, such as the word Basic, is hidden only with the whole


def hide_secrets(text: str, settings: BaseModel | Mapping[str, Any]) -> str:
    """The text without any of the secrets in the settings, whoever put them there, nor any that was read before."""
    return hide_known_secrets(_hidden(text, _secrets_in(settings)))


def hide_declared_secrets(text: str, settings: BaseModel) -> str:
    """The text without what the settings declare to be secret, for texts that are used again: what merely came from a
    reference, such as the name of a project, may belong there."""
    return _hidden(text, (secret for secret in _secrets_in(settings) if not isinstance(secret, Secret)))


def hide_known_secrets(text: str) -> str:
    """The text without any secret that this process has read; one of a few letters could be part of any word."""
    return _hidden(text, (secret for secret in resolved_so_far() if len(secret) >= _LONG_ENOUGH))


def _hidden(text: str, secrets: Iterable[str]) -> str:
    wholes = set(filter(None, secrets))
    parts = {part for secret in wholes for part in _parts(secret) if len(part) >= _LONG_ENOUGH}
    for secret in sorted(wholes | parts, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _parts(secret: str) -> Iterator[str]:
    """What of a secret, or in which other spelling, may stand alone: words, an address without its host, escapes."""
    import httpx  # takes long to load, and most commands read no secret

    yield from secret.split()
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="", errors="replace")
    try:
        url = httpx.URL(secret)  # as the client itself writes it, in its log too
    except (httpx.InvalidURL, UnicodeError):
        return
    yield from (str(url), url.path, url.username, url.password, url.fragment)
    yield from (part.decode() for part in (url.raw_path, url.raw_path.partition(b"?")[0], url.query))


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, SecretStr):
        yield str(value.get_secret_value())
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, BaseModel):
        for _, item in value:
            yield from _secrets_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets_in(item)
