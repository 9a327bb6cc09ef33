"""The host's side of the nursery: workers forked from a process that has the runtime loaded, up in a few milliseconds.

For a backend whose workers are plain processes of this machine. The process that a worker comes from never runs a rule.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import trapline_sandbox

CAN_FORK = hasattr(os, "waitid")
"""Whether this system lets a parent see that a child has ended and keep its number: Linux does, macOS does not."""

_PATIENCE = 10.0  # seconds; what a rule may do to the process that its worker comes from must hold up no other

_PARENT = Path(trapline_sandbox.__file__).parent.parent
_START = (
    "import sys; control, folder = sys.argv[1:]; sys.path.append(folder); "
    "from trapline_sandbox.nursery import main; sys.path.remove(folder); main(int(control))"
)


class Process(Protocol):
    """What is asked of a worker's process, as `subprocess.Popen` answers it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Nursery:
    """Starts its process with the first worker, and again where it is gone. Thread-safe."""

    def __init__(self, python: Sequence[str], environment: Mapping[str, str], *, folder: Path) -> None:
        """`python` is the interpreter with its flags, `folder` where the process itself stands."""
        self._python, self._environment, self._folder = python, environment, folder
        self._lock = Lock()
        self._host: socket.socket | None = None
        self._held = ExitStack()
        weakref.finalize(self, self._held.close)

    def spawn(self, command: Sequence[str], *, stdin: int, stderr: int, cwd: Path, **_: Any) -> Process:
        """As `subprocess.Popen` of a build, the last word of the command, in a session of its own. Raises OSError."""
        ours, theirs = os.pipe()
        try:
            request = {"root": command[-1], "folder": str(cwd)}
            answer = self._ask(request, [stdin, stderr, theirs])
            if "errno" in answer:
                raise OSError(answer["errno"], os.strerror(answer["errno"]))
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return _Forked(answer["pid"], ours, self)

    def reap(self, pid: int) -> None:
        """Lets go of a worker that has ended: its number may be given to another process."""
        with suppress(OSError):  # the nursery is gone, and its children are nobody's
            self._ask({"reap": pid}, [], again=False)

    def close(self) -> None:
        """Ends the process; its workers go on for as long as they are asked. Safe to call twice."""
        with self._lock:
            self._held.close()
            self._host = None

    def _ask(self, request: dict[str, Any], fds: Sequence[int], *, again: bool = True) -> dict[str, Any]:
        with self._lock:
            try:
                return self._exchange(request, fds)
            except (ConnectionError, TimeoutError, ValueError):
                self._held.close()
                self._host = None
                if not again:
                    raise ConnectionError("the nursery is gone") from None
                return self._exchange(request, fds)

    def _exchange(self, request: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        host = self._host or self._start()
        socket.send_fds(host, [json.dumps(request).encode()], fds)
        text = b""
        while not text.endswith(b"\n"):
            part = host.recv(4096)
            if not part:
                raise ConnectionError("the nursery is gone")
            text += part
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _start(self) -> socket.socket:
        host, theirs = socket.socketpair()
        self._held.enter_context(host)
        host.settimeout(_PATIENCE)
        with theirs:
            process = subprocess.Popen(
                [*self._python, "-c", _START, str(theirs.fileno()), str(_PARENT)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=self._environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._held.callback(_end, process, os.getpid())
        self._host = host
        return host


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() == owner:  # not a fork of it
        process.kill()
        process.wait()


class _Forked:
    """A worker's process, which is a child of the nursery's. Its exit status comes through a pipe."""

    def __init__(self, pid: int, status: int, nursery: Nursery) -> None:
        self.pid = pid
        self._pipe: int | None = status
        self._nursery = nursery
        self._lock = Lock()  # who closes a worker may come upon a thread that waits for its answer
        self._status = -9  # where the nursery is gone before it could say

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises subprocess.TimeoutExpired."""
        with self._lock:
            if self._pipe is not None:
                self._take_status(self._pipe, timeout)
        return self._status

    def _take_status(self, pipe: int, timeout: float | None) -> None:
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        if not waiting.poll(None if timeout is None else timeout * 1_000):
            raise subprocess.TimeoutExpired("a worker", timeout or 0)
        if text := os.read(pipe, 16):
            self._status = int(text)
        os.close(pipe)
        self._pipe = None
        self._nursery.reap(self.pid)
