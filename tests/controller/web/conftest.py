"""The web application on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.controller.web.site import Run, Site
from trapline.web.app import make_app
from trapline.web.server import serving


@pytest.fixture
def run() -> Run:
    """Runs the application with options of a Site."""

    @contextmanager
    def running(ref: str = "main", listen: str = "127.0.0.1:0", **options: Any) -> Iterator[Site]:
        site = Site(httpx.Client(trust_env=False, timeout=10), **options)
        app = make_app(
            hint=lambda forge: site.hints.append(forge),
            health=lambda: site.health,
            ready=lambda: site.ready,
            hook_secret=lambda: site.secret,
            ref=ref,
            monotonic=lambda: site.time,
        )
        with site.http, serving(app, listen) as site.http.base_url:
            yield site

    return running


@pytest.fixture
def site(run: Run) -> Iterator[Site]:
    with run() as running:
        yield running
