"""The process backend: each worker an interpreter process of its own on this machine. No security boundary."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from trapline.fingerprint import fingerprint
from trapline.workers import channel
from trapline.workers.backends import layout
from trapline.workers.channel import Death
from trapline.workers.interface import BackendUnavailable, Build, BuildDigest, Limits, Rule, Seal, WorkerError
from trapline.workers.worker import SandboxWorker

FILE_BYTES = 16 * 1024 * 1024
OPEN_FILES = 256
STALE_SECONDS = 3600
MODIFIED = 315_532_800  # 1980: what every file of a build says, so that one that was written to since shows
_TEMPORARY = ".tmp-"
_NO_ROOM = "look whether its disk has room, and whether this user may write there"


class ProcessBackend:
    """Builds are folders `home/<digest>/`."""

    name = "process"

    def __init__(self, home: Path) -> None:
        if os.name != "posix":
            raise BackendUnavailable("the process backend needs Linux or macOS", remedy="use the docker backend")
        self._home = home
        self._python = getattr(sys, "_base_executable", None) or sys.executable  # not the one of our environment
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendUnavailable(f"{home} cannot be made: {error.strerror}", remedy=_NO_ROOM) from error
        self._sweep()

    def describe(self) -> str:
        return (
            "process: every detection in an interpreter process of its own, with limits on memory and time. This is "
            "NO security boundary: a detection can read what this user can read, and reach the network"
        )

    def platform(self) -> str:
        python = platform.python_version()
        return f"process {self._python} {python} {platform.machine()} {sys.platform} runtime:{layout.runtime_digest()}"

    def python(self) -> tuple[str, str]:
        machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
        if sys.platform == "darwin":
            system = "apple-darwin"
        else:
            system = f"unknown-linux-{'gnu' if platform.libc_ver()[0] == 'glibc' else 'musl'}"
        return f"{sys.version_info.major}.{sys.version_info.minor}", f"{machine}-{system}"

    def built(self) -> dict[BuildDigest, Seal]:
        with os.scandir(self._home) as folders:
            return {BuildDigest(found.name): _seal(found.path) for found in folders if not found.name.startswith(".")}

    def build(self, build: Build) -> Seal:
        """Makes the build ready; atomic, and a no-op where it is there already."""
        target = self._home / build.digest
        if target.is_dir():
            return _seal(target)
        making = self._temporary()
        try:
            making.mkdir(mode=0o700)
            _write(making, build)
            making.rename(target)
        except OSError as error:
            if not target.is_dir():  # else another one was faster, which is as good
                raise WorkerError(
                    "unavailable",
                    f"{target} cannot be written: {error.strerror or error}",
                    remedy=_NO_ROOM,
                ) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return _seal(target)

    def start(self, digest: BuildDigest, rule: Rule, limits: Limits) -> SandboxWorker:
        """Starts a worker and loads the rule. Raises WorkerError where the script cannot be imported."""
        root = self._home / digest
        if not root.is_dir():
            raise WorkerError("unavailable", f"detection {rule.detection} is not built: there is no {root}")
        rlimits = {
            "RLIMIT_CORE": 0,
            "RLIMIT_AS": limits.memory_bytes,
            "RLIMIT_FSIZE": FILE_BYTES,
            "RLIMIT_NOFILE": OPEN_FILES,
        }
        return SandboxWorker(_Process(self._python, root), rule, limits, rlimits=rlimits)

    def remove(self, digests: Iterable[BuildDigest]) -> None:
        for digest in digests:
            doomed = self._temporary()
            with contextlib.suppress(FileNotFoundError):
                (self._home / digest).rename(doomed)  # gone at once for `built`, whatever becomes of the rest
            shutil.rmtree(doomed, ignore_errors=True)
        self._sweep()

    def close(self) -> None:
        """Nothing is held."""

    def _temporary(self) -> Path:
        return self._home / f"{_TEMPORARY}{uuid.uuid4().hex}"

    def _sweep(self) -> None:
        """Removes what crashed builds and removals left; what is young may belong to another process."""
        for path in self._home.glob(f"{_TEMPORARY}*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


class _Process:
    """The channel to a process: one socket pair that is both its stdin and its stdout."""

    def __init__(self, python: str, root: Path) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="trapline-worker-"))
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self._socket, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [python, *layout.FLAGS, str(root.resolve())],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._stderr.fileno(),
                cwd=self._scratch,
                env={"LANG": "C.UTF-8"},
                close_fds=True,
                start_new_session=True,
            )
        except OSError as error:
            self._release()
            raise WorkerError("unavailable", f"{python} cannot be started: {error}") from error
        finally:
            theirs.close()

    def send(self, parts: Iterable[memoryview], deadline: float) -> None:
        channel.send(self._socket, parts, deadline)

    def receive(self, count: int, deadline: float) -> bytes:
        return channel.receive(self._socket, count, deadline)

    def alive(self) -> bool:
        return self._process.poll() is None

    def death(self) -> Death:
        try:
            status = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:  # it closed its end, and goes on
            return Death(None, out_of_memory=False, stderr=self._last_words())
        code = 128 - status if status < 0 else status
        return Death(code, out_of_memory=code == 128 + signal.SIGKILL, stderr=self._last_words())

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._release()

    def _release(self) -> None:
        self._socket.close()
        self._stderr.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _last_words(self) -> str:
        file = self._stderr.fileno()
        start = max(os.fstat(file).st_size - channel.LAST_WORDS, 0)
        return os.pread(file, channel.LAST_WORDS, start).decode("utf-8", "replace")


def _write(root: Path, build: Build) -> None:
    (root / "requirements").mkdir()
    (root / "detection").mkdir()
    for entry in chain(layout.runtime(), layout.requirements(build), layout.detection(build)):
        path = root / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.read())
        path.chmod(entry.mode)
        os.utime(path, (MODIFIED, MODIFIED))
    root.chmod(0o755)


def _seal(root: str | Path) -> Seal:
    """What a build looks like from outside: no content is read. What cannot be looked at differs from what can."""
    lines, folders = [], [(os.fsencode(root), b"")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found, path = entry.stat(follow_symlinks=False), prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, path + b"/"))
                        lines.append(b"%s/ %o" % (path, found.st_mode))
                    else:
                        lines.append(b"%s %o %d %d" % (path, found.st_mode, found.st_size, found.st_mtime_ns))
        except OSError as error:
            lines.append(b"%s unreadable %d" % (prefix, error.errno or 0))
    return Seal(fingerprint(b"\0".join(sorted(lines))))
