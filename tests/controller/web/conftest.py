"""The web application on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from trapline.web.app import Health, make_app
from trapline.web.server import serving

SECRET = b"correct horse battery staple"
FINE = Health(True, {})


@dataclass
class Site:
    """A running server, what it was told to say, and the hints that came of it."""

    url: str = ""
    secret: bytes = SECRET
    health: Health = FINE
    ready: Health = FINE
    time: float = 0.0
    hints: list[str] = field(default_factory=list)
    hinted: threading.Event = field(default_factory=threading.Event)

    def hint(self, forge: str) -> None:
        self.hints.append(forge)
        self.hinted.set()

    def post(self, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None) -> httpx.Response:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as http:
            return http.post(path, content=content, headers=headers)

    def get(self, path: str) -> httpx.Response:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as http:
            return http.get(path)


Run = Callable[..., AbstractContextManager[Site]]


@pytest.fixture
def run() -> Run:
    @contextmanager
    def running(ref: str = "main", listen: str = "127.0.0.1:0", **options: Any) -> Iterator[Site]:
        site = Site(**options)
        app = make_app(
            hint=site.hint,
            health=lambda: site.health,
            ready=lambda: site.ready,
            hook_secret=lambda: site.secret,
            ref=ref,
            monotonic=lambda: site.time,
        )
        with serving(app, listen) as site.url:
            yield site

    return running


@pytest.fixture
def site(run: Run) -> Iterator[Site]:
    with run() as running:
        yield running
