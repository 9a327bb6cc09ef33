"""A running web application, what it is told to say, and the hints that came of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import httpx

from trapline.web.app import Health

SECRET = b"correct horse battery staple"
FINE = Health(True, {})
Headers = Mapping[str, str] | Mapping[bytes, bytes]


@dataclass
class Site:
    """The client's side of a running server, and what the server asks for its answers."""

    http: httpx.Client
    secret: bytes = SECRET
    health: Health = FINE
    ready: Health = FINE
    time: float = 0.0
    hints: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        port = self.http.base_url.port
        assert port is not None
        return port

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def post(self, path: str, content: bytes = b"", headers: Headers | None = None) -> httpx.Response:
        return self.http.post(path, content=content, headers=headers)


Run = Callable[..., AbstractContextManager[Site]]


def sign(body: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
