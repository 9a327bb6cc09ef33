"""Who made what: the next start sweeps what a killed controller left, and nothing that a neighbour still uses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import uuid
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trapline.workers.interface import BackendUnavailable

_NOTE = ".pid"


class Owner:
    """One user of a home: a folder in `runs`, named by `id` and locked for as long as this process lives.

    A new one first sweeps what the dead left: their workers' processes, and their folders. `alive` tells whether the
    owner of anything else, such as a container, still lives.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self.id = uuid.uuid4().hex
        self._folder = runs / self.id
        try:
            runs.mkdir(parents=True, exist_ok=True)
            with _locked(runs):
                self._sweep()
                self._folder.mkdir(mode=0o700)
                lock = _lock(self._folder)
        except OSError as error:
            raise BackendUnavailable(
                f"{runs} cannot be used: {error.strerror or error}",
                remedy="look whether its disk has room, and whether this user may write there",
            ) from error
        self._release = weakref.finalize(self, _release, self._folder, lock, os.getpid())

    def alive(self, owner: str) -> bool:
        """Whether the process that owns what bears this id still lives."""
        return owner == self.id or (_is_name(owner) and not _is_free(self._runs / owner))

    def scratch(self) -> Path:
        """A new empty folder for one worker."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def note(self, scratch: Path, pid: int) -> None:
        """Remembers the process of the worker that `scratch` is for; it leads a session of its own."""
        if process := Process.of(pid):
            scratch.with_suffix(_NOTE).write_text(f"{_boot_id()} {process.pid} {process.start}")

    def drop(self, scratch: Path) -> None:
        """Forgets a worker that has ended."""
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.with_suffix(_NOTE).unlink(missing_ok=True)

    def release(self) -> None:
        """Gives up the folder; what is still in it is nobody's. Safe to call twice."""
        self._release()

    def _sweep(self) -> None:
        for folder in self._runs.iterdir():
            if _is_name(folder.name) and _is_free(folder):
                for note in folder.glob(f"*{_NOTE}"):
                    _end(note, folder)
                shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Process:
    """A process as the kernel tells it from every other one of this boot."""

    pid: int
    start: int
    session: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """None where there is no such process, or no /proc."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()  # behind the name, which may hold anything
        return cls(pid, start=int(fields[19]), session=int(fields[3]))


def _end(note: Path, folder: Path) -> None:
    """Ends what still runs of a worker: the process itself, and what it started and left in its session."""
    try:
        boot, pid, start = note.read_text().split()
    except (OSError, ValueError):  # its owner was killed while it wrote this, before the worker had a rule to run
        return
    if boot != _boot_id():
        return
    for process in _processes():
        if process.session == int(pid) and (process.start == int(start) or _works_in(process.pid, folder)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)


def _processes() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (process := Process.of(int(entry.name))):
            yield process


def _works_in(pid: int, folder: Path) -> bool:
    """Whether the process's current folder is, or was, below that one: a session's number may be used again."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder.resolve())
    return False


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _is_name(name: str) -> bool:
    return len(name) == 32 and name.isalnum()


def _is_free(folder: Path) -> bool:
    """Whether nobody holds the lock of the folder, or it is gone."""
    try:
        os.close(_lock(folder))
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def _lock(folder: Path) -> int:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(lock)
        raise
    return lock


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among those that come and go in `folder`."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _release(folder: Path, lock: int, pid: int) -> None:
    if os.getpid() == pid:  # not a fork of the owner
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
