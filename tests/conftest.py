"""What every room's tests share: whether Docker tests can run, and a loud word where they could not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

import pytest
from docker.errors import ImageNotFound

from trapline.workers.backends.docker import connect
from trapline.workers.interface import BackendUnavailable

BASE_IMAGE = os.environ.get("TRAPLINE_BASE_IMAGE") or "trapline-base:bookworm"
REQUIRED = os.environ.get("TRAPLINE_REQUIRE_DOCKER") == "1"


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


@pytest.fixture(scope="session")
def docker_base_image() -> Iterator[str]:
    """The base image for detections on a Docker engine that answers; skips the test where there is none."""
    problem = _docker_problem()
    if problem is not None:
        if REQUIRED:
            pytest.fail(f"TRAPLINE_REQUIRE_DOCKER=1, but {problem}", pytrace=False)
        pytest.skip(f"Docker: {problem}")
    yield BASE_IMAGE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "docker" in report.keywords]
    if skipped:
        why = skipped[0].longrepr[2] if isinstance(skipped[0].longrepr, tuple) else ""
        terminalreporter.write_sep("!", "NOT TESTED WITH DOCKER", red=True, bold=True)
        terminalreporter.write_line(f"{len(skipped)} Docker tests were skipped. {why}", red=True)
