"""A real repository to mirror, and the programs that serve and sign it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_QUIET = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass(frozen=True)
class Origin:
    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return str(self.path)

    def git(self, *arguments: str, feed: str | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            check=True,
            capture_output=True,
            text=True,
            input=feed,
            env=os.environ | _QUIET | dict(self.environment),
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Writes files (`a__b` is a/b) and commits everything."""
        for name, text in files.items():
            file = self.path / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    path = tmp_path / "origin"
    path.mkdir()
    origin = Origin(path)
    origin.git("init", "-q", "-b", "main")
    return origin


def _program(name: str) -> str:
    """Where a program is; skips the test where it is not, which the full run must not."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if path is None:
        if os.environ.get("TRAPLINE_REQUIRE_DOCKER") == "1":
            pytest.fail(f"TRAPLINE_REQUIRE_DOCKER=1, but there is no {name}", pytrace=False)
        pytest.skip(f"there is no {name}")
    return path


@pytest.fixture(scope="session")
def sshd_program() -> str:
    return _program("sshd")


@pytest.fixture(scope="session")
def gpg_program() -> str:
    return _program("gpg")


@pytest.fixture(scope="session")
def ssh_keygen_program() -> str:
    return _program("ssh-keygen")
