"""Builds as folders `home/<digest>/`, and this machine's Python to run them: what process and bubblewrap share."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import uuid
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from trapline.fingerprint import fingerprint
from trapline.workers.backends import layout
from trapline.workers.backends.owner import Owner
from trapline.workers.interface import BackendUnavailable, Build, BuildDigest, Rule, Seal, WorkerError

MODIFIED = 315_532_800  # 1980: what every file of a build says, so that one that was written to since shows
_TEMPORARY = ".tmp-"
_NO_ROOM = "look whether its disk has room, and whether this user may write there"


class FolderBackend:
    """All of a backend but the way to start a worker. `owner` None makes one beside `home`."""

    name = "folder"

    def __init__(self, home: Path, owner: Owner | None = None) -> None:
        self._home = home
        self._interpreter = getattr(sys, "_base_executable", None) or sys.executable  # not the one of our environment
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendUnavailable(f"{home} cannot be made: {error.strerror}", remedy=_NO_ROOM) from error
        self._owner = owner or Owner(home.parent / "run")
        self._sweep()

    def platform(self) -> str:
        version, machine = platform.python_version(), platform.machine()
        return f"{self.name} {self._interpreter} {version} {machine} {sys.platform} runtime:{layout.runtime_digest()}"

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

    def remove(self, digests: Iterable[BuildDigest]) -> None:
        for digest in digests:
            doomed = self._temporary()
            with contextlib.suppress(FileNotFoundError):
                (self._home / digest).rename(doomed)  # gone at once for `built`, whatever becomes of the rest
            shutil.rmtree(doomed, ignore_errors=True)
        self._sweep()

    def close(self) -> None:
        self._owner.release()

    def _root(self, digest: BuildDigest, rule: Rule) -> Path:
        """The folder of a build. Raises WorkerError where there is none."""
        root = self._home / digest
        if not root.is_dir():
            raise WorkerError("unavailable", f"detection {rule.detection} is not built: there is no {root}")
        return root.resolve()

    def _temporary(self) -> Path:
        return self._home / f"{_TEMPORARY}{self._owner.id}-{uuid.uuid4().hex}"

    def _sweep(self) -> None:
        """Removes what builds and removals left whose controller was killed."""
        for path in self._home.glob(f"{_TEMPORARY}*"):
            if not self._owner.alive(path.name.removeprefix(_TEMPORARY).partition("-")[0]):
                shutil.rmtree(path, ignore_errors=True)


def _write(root: Path, build: Build) -> None:
    folders = {root, root / "requirements", root / "detection"}
    for entry in chain(layout.runtime(), layout.requirements(build), layout.detection(build)):
        path = root / entry.path
        folders.update(root / parent for parent in Path(entry.path).parents)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.read())
        path.chmod(entry.mode)
        os.utime(path, (MODIFIED, MODIFIED))
    for folder in folders:  # whatever our umask: in a sandbox it is another user that reads them
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


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
