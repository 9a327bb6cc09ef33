"""What the benchmarks of deploying share: a repository that is served over git, and the Docker engine, as found."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from docker.errors import ImageNotFound

from tests.bench.measure import Skipped
from trapline.config.files import File
from trapline.controller import Controller
from trapline.options import Options
from trapline.settings import Settings
from trapline.workers.backends.engine import connect
from trapline.workers.interface import BackendUnavailable

BASE_IMAGE = os.environ.get("TRAPLINE_BASE_IMAGE") or "trapline-base:bookworm"
# One tick and one look at the repository, and nothing more unless somebody asks for it; nothing kept to roll back to.
SETTINGS = """\
tables: {events: {path: events}}
schedule: {every: 1d, poll: 1h}
prune: {rollbacks: 0}
"""
_WHO = ("-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgSign=false")


@dataclass(frozen=True, slots=True)
class Ground:
    """A folder to work in, and the address and the work tree of its repository."""

    folder: Path
    url: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def options(self, *, sandbox: str) -> Options:
        return Options(self.home, self.url, sandbox=sandbox, base_image=BASE_IMAGE if sandbox == "docker" else None)

    def write(self, files: Mapping[str, File]) -> None:
        for path, file in files.items():
            target = self.tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)

    def append(self, path: str, text: str) -> None:
        with (self.tree / path).open("a") as file:
            file.write(text)

    def commit(self) -> str:
        """Commits everything, and says at which revision."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Change detections")
        return self._git("rev-parse", "HEAD")

    def push(self) -> None:
        self._git("push", "--quiet", self.url, "main")

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *_WHO, *arguments], cwd=self.tree, env=_environment(), check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@contextmanager
def ground() -> Iterator[Ground]:
    """A new repository with a trapline.yml, served by `git daemon` on this machine until the context ends."""
    with TemporaryDirectory(prefix="trapline-bench-") as name:
        folder = Path(name)
        for options in (["--bare", "served/repository.git"], ["tree"]):
            command = ["git", "init", "--quiet", "--initial-branch=main", *options]
            subprocess.run(command, cwd=folder, env=_environment(), check=True)
        port = free_port()
        made = Ground(folder, f"git://127.0.0.1:{port}/repository.git")
        made.write({"trapline.yml": File(content=SETTINGS.encode())})
        with _daemon(folder / "served", port):
            yield made


@contextmanager
def controller(ground: Ground, *, sandbox: str) -> Iterator[Controller]:
    """A controller in this process; its builds go with it."""
    with Controller(ground.options(sandbox=sandbox), on_progress=lambda _: None) as running:
        try:
            yield running
        finally:
            running.remove_builds()


@contextmanager
def service(ground: Ground, *, sandbox: str, env: Mapping[str, str]) -> Iterator[str]:
    """`trapline controller` in a process of its own; yields the address that it listens on."""
    ground.home.mkdir(exist_ok=True)
    options = {"home": ground.home, "repository": ground.url, "sandbox": sandbox, "base-image": BASE_IMAGE}
    flags = [f"--{name}={value}" for name, value in options.items()]
    others = {name: value for name, value in os.environ.items() if not name.startswith("TRAPLINE_")}
    log = ground.folder / "controller.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "trapline", "controller", *flags, "--listen=127.0.0.1:0"],
            env={**others, **env},
            stdout=said,
            stderr=said,
        )
    try:
        until(lambda: _listening(log) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield _listening(log)
    finally:
        process.terminate()
        process.wait()


def _listening(log: Path) -> str:
    found = re.search(r"listening on (\S+)", log.read_text())
    return found[1] if found else ""


def remove_builds(ground: Ground, *, sandbox: str) -> None:
    """Removes what a controller in another process has built."""
    with controller(ground, sandbox=sandbox) as running:
        running.reconciler().house.backend_for(Settings())


def reconcile(running: Controller, action: str, count: int) -> None:
    """Reconciles, which has to do this to so many detections."""
    report = running.reconcile()
    wrong = [outcome for outcome in report.outcomes if outcome.action != action]
    assert report.count(action) == count, wrong[:3]


def need_docker() -> None:
    """Raises Skipped where no engine has the base image."""
    try:
        client = connect()
    except BackendUnavailable as error:
        raise Skipped(error.message) from error
    try:
        client.images.get(BASE_IMAGE)
    except ImageNotFound:
        remedy = "make it with sandbox/image/debian.sh, or set TRAPLINE_BASE_IMAGE"
        raise Skipped(f"the engine has no image {BASE_IMAGE}: {remedy}") from None
    finally:
        client.close()


def until(condition: Callable[[], Any], *, every: float = 0.003, within: float = 120.0) -> None:
    """Waits for something that another process does."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not happen within {within:g} s")
        time.sleep(every)


def _environment() -> dict[str, str]:
    return {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def _daemon(folder: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [
            *("git", "daemon", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"),
            *(f"--base-path={folder}", "--export-all", "--enable=receive-pack"),
        ],
        env=_environment(),
        stderr=subprocess.DEVNULL,  # it wonders about the connection that finds out whether it answers
    )
    try:
        until(lambda: answers(port), within=10)
        yield
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether somebody takes connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
