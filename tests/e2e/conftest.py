"""The command line as a user runs it: the real command, in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.playground import Playground

TRAPLINE = [sys.executable, "-m", "trapline"]


def environment() -> dict[str, str]:
    """The environment without this machine's TRAPLINE_* settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRAPLINE_")}


class Command:
    """A finished command."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def trapline() -> Callable[..., Command]:
    """Runs `trapline` with these arguments; a traceback is never an acceptable answer."""

    def run(*arguments: object, timeout: float = 240, cwd: Path | None = None) -> Command:
        done = subprocess.run(
            [*TRAPLINE, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment(),
            cwd=cwd,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Command(done)

    return run


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)
