"""Keeping secrets out of what is shown and kept: reasons, problems, logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from trapline.config.secrets import Secret

HIDDEN = "**********"
_LONG_ENOUGH = 6  # a shorter part of a secret, such as the word Basic, is hidden only with the whole


def hide_secrets(text: str, settings: BaseModel | Mapping[str, Any]) -> str:
    """The text without any of the secrets in the settings, whoever put them there."""
    secrets = set(_secrets_in(settings))
    words = {word for secret in secrets for word in secret.split() if len(word) >= _LONG_ENOUGH}
    for secret in sorted(filter(None, secrets | words), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield str(value)
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
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
