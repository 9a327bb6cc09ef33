"""The channel to a child process: one socket pair that is both its stdin and its stdout."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from trapline.workers import channel
from trapline.workers.backends.nursery import Process
from trapline.workers.backends.owner import Owner
from trapline.workers.channel import Death
from trapline.workers.interface import WorkerError

# The C library sets room apart for the memory of each thread, all of which the limit would count.
ENVIRONMENT = {"LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}


class Child:
    """Starts a command in an empty folder and a session of its own, without anything of ours but the socket."""

    def __init__(
        self,
        command: Sequence[str],
        owner: Owner,
        *,
        pass_fds: Sequence[int] = (),
        spawn: Callable[..., Process] = subprocess.Popen,
    ) -> None:
        self._held = ExitStack()
        try:
            with starting(command[0]):
                self._begin(command, owner, pass_fds, spawn)
        except BaseException:
            self._held.close()
            raise

    def _begin(
        self,
        command: Sequence[str],
        owner: Owner,
        pass_fds: Sequence[int],
        spawn: Callable[..., Process],
    ) -> None:
        scratch = owner.scratch()
        self._held.callback(owner.drop, scratch)
        self._stderr = self._held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  it is one
        self._socket, theirs = socket.socketpair()
        self._held.enter_context(self._socket)
        with theirs:
            self._process = spawn(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._stderr.fileno(),
                cwd=scratch,
                env=ENVIRONMENT,
                close_fds=True,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        self._held.callback(self._end)
        owner.note(scratch, self._process.pid)  # before it gets a rule, without which it ends when we do

    def send(self, parts: Iterable[memoryview], deadline: float) -> None:
        channel.send(self._socket, parts, deadline)

    def receive(self, count: int, deadline: float) -> bytes:
        return channel.receive(self._socket, count, deadline)

    def alive(self) -> bool:
        return self._process.poll() is None

    def threads(self) -> int | None:
        return count_threads(self._process.pid)

    def death(self) -> Death:
        try:
            status = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:  # it closed its end, and goes on
            return Death(None, out_of_memory=False, stderr=self._last_words())
        code = 128 - status if status < 0 else status
        return Death(code, out_of_memory=code == 128 + signal.SIGKILL, stderr=self._last_words())

    def close(self) -> None:
        self._held.close()

    def _end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _last_words(self) -> str:
        file = self._stderr.fileno()
        start = max(os.fstat(file).st_size - channel.LAST_WORDS, 0)
        return os.pread(file, channel.LAST_WORDS, start).decode("utf-8", "replace")


@contextmanager
def starting(program: str) -> Iterator[None]:
    """Turns a machine that has no room for one more worker into our error."""
    try:
        yield
    except OSError as error:
        raise WorkerError(
            "unavailable",
            f"{program} cannot be started: {error}",
            remedy="look whether this machine's disk has room, and how many processes and open files it allows",
        ) from error


def count_threads(pid: int) -> int | None:
    """How many threads a process has, as the kernel tells; None where it does not."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return None
