"""What every room's tests share: which sandboxes work here, and a loud word where tests could not run in one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from docker.errors import ImageNotFound
from hypothesis import HealthCheck, settings
from moto.core.base_backend import BackendDict

from tests.aws import Aws, give_credentials, serving_aws
from trapline.config import secrets
from trapline.workers.backends.bubblewrap import BubblewrapBackend
from trapline.workers.backends.engine import connect
from trapline.workers.interface import BackendUnavailable

if "CI" not in os.environ:  # where Hypothesis does so by itself
    # How long an example takes says how busy the machine is.
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")

BASE_IMAGE = os.environ.get("TRAPLINE_BASE_IMAGE") or "trapline-base:bookworm"
SANDBOXES = {"docker": "Docker", "bubblewrap": "bubblewrap"}
"""By the marker of the tests that need it. TRAPLINE_REQUIRE_DOCKER=1 makes a skipped one fail, and so for the other."""


@cache
def _docker_problem() -> str | None:
    """Why Docker tests cannot run here; None where they can."""
    try:
        client = connect()
    except BackendUnavailable as error:
        return error.message
    try:
        client.images.get(BASE_IMAGE)
    except ImageNotFound:
        return f"the engine has no image {BASE_IMAGE}: make it with sandbox/image/debian.sh, or set TRAPLINE_BASE_IMAGE"
    finally:
        client.close()
    return None


@cache
def _bubblewrap_problem() -> str | None:
    """Why bubblewrap tests cannot run here; None where they can."""
    with tempfile.TemporaryDirectory() as home:
        try:
            BubblewrapBackend(Path(home, "builds")).close()
        except BackendUnavailable as error:
            return error.message
    return None


@pytest.fixture(scope="session")
def docker_base_image() -> str:
    """The base image for detections on a Docker engine that answers; skips the test where there is none."""
    _need("docker", _docker_problem())
    return BASE_IMAGE


@pytest.fixture(scope="session")
def bubblewrap() -> None:
    """Skips the test where bubblewrap makes no sandboxes."""
    _need("bubblewrap", _bubblewrap_problem())


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of AWS, which is asked once and not again."""
    give_credentials(monkeypatch)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture(scope="session")
def _moto() -> Iterator[Aws]:
    with serving_aws() as aws:
        yield aws


@pytest.fixture
def aws(_moto: Aws, credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Empty, and what the environment means by AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", _moto.url)
    yield _moto
    BackendDict.reset()


@pytest.fixture(autouse=True)
def _no_secret_is_known() -> Iterator[None]:
    """What a test has read as a secret is hidden for as long as its process lives, which here is one for all tests."""
    yield
    secrets._resolved.clear()


def _need(marker: str, problem: str | None) -> None:
    required = f"TRAPLINE_REQUIRE_{marker.upper()}"
    if problem is not None and os.environ.get(required) == "1":
        pytest.fail(f"{required}=1, but {problem}", pytrace=False)
    if problem is not None:
        pytest.skip(f"{SANDBOXES[marker]}: {problem}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for marker, name in SANDBOXES.items():
        skipped = [report for report in terminalreporter.stats.get("skipped", []) if marker in report.keywords]
        if skipped:
            why = skipped[0].longrepr[2] if isinstance(skipped[0].longrepr, tuple) else ""
            terminalreporter.write_sep("!", f"NOT TESTED WITH {name.upper()}", red=True, bold=True)
            terminalreporter.write_line(f"{len(skipped)} {name} tests were skipped. {why}", red=True)
