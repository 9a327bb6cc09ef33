"""What a forge's webhook says, as pure functions of the request: who sent it, and whether it is about our ref.

A webhook is a hint to look at the repository, and nothing in it is trusted beyond that: a body is only read once the
sender has shown the secret, and then only to leave out pushes to other refs.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Accepted:
    """Something may have happened: look now."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The forge tries out whether the hook is set up."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A push to a ref that nobody follows."""

    ref: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not shown to be from the forge; `expected` says what would have been, to whoever set the hook up."""

    expected: str


Verdict = Accepted | Ping | Ignored | Refused


class Forge(Protocol):
    """Judges one request. The names of `headers` are in small letters; `secret` is never empty."""

    def __call__(self, headers: Mapping[str, str], body: bytes, *, secret: bytes, ref: str) -> Verdict: ...


def github(headers: Mapping[str, str], body: bytes, *, secret: bytes, ref: str) -> Verdict:
    """GitHub signs the body with the secret."""
    if not _signed(headers.get("x-hub-signature-256"), body, secret):
        return Refused("X-Hub-Signature-256 with the HMAC-SHA256 of the body, made with the hook's secret")
    return Ping() if headers.get("x-github-event") == "ping" else _about(body, ref)


def gitlab(headers: Mapping[str, str], body: bytes, *, secret: bytes, ref: str) -> Verdict:
    """GitLab sends the secret itself, as its secret token."""
    if not _same(headers.get("x-gitlab-token"), secret):
        return Refused("X-Gitlab-Token with the hook's secret token")
    return _about(body, ref)


def generic(headers: Mapping[str, str], body: bytes, *, secret: bytes, ref: str) -> Verdict:
    """A script's bearer token, or a signature as Gitea, Forgejo and Bitbucket make it."""
    shown = (
        _same(headers.get("authorization"), b"Bearer " + secret),
        _signed(headers.get("x-hub-signature-256"), body, secret),
        _signed(headers.get("x-hub-signature"), body, secret),
    )
    if not any(shown):
        return Refused(
            "Authorization: Bearer with the hook's secret, or X-Hub-Signature-256 (or X-Hub-Signature) with "
            "sha256= and the HMAC-SHA256 of the body"
        )
    return _about(body, ref)


FORGES: Mapping[str, Forge] = {"github": github, "gitlab": gitlab, "generic": generic}


def _signed(given: str | None, body: bytes, secret: bytes) -> bool:
    return _same(given, b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode())


def _same(given: str | None, expected: bytes) -> bool:
    # WSGI hands header bytes over as Latin-1; what is not Latin-1 never was a header.
    return given is not None and hmac.compare_digest(given.encode("latin-1", "replace"), expected)


def _about(body: bytes, ref: str) -> Verdict:
    if ref == "HEAD":
        return Accepted()  # it follows whichever branch the repository says
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return Accepted()  # a form, or nothing at all: still a hint
    pushed = content.get("ref") if isinstance(content, dict) else None
    if not isinstance(pushed, str) or pushed in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}"):
        return Accepted()
    return Ignored(pushed)
