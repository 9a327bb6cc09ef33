"""The channel to a container: its stdin and stdout over one attached socket, with the engine's framing taken off."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import cast

from docker.errors import DockerException, NotFound
from docker.models.containers import Container as DockerContainer

from trapline.workers import channel
from trapline.workers.backends.child import count_threads
from trapline.workers.backends.engine import Patience
from trapline.workers.channel import Death
from trapline.workers.interface import WorkerError

_STDOUT, _STDERR = 1, 2
_HEADER_BYTES = 8  # stream, three zeros, length
_KILLED = 128 + 9
_USUAL_RUNTIMES = ("runc", "crun", "io.containerd.runc.v2")


class Container:
    """Attaches to a created container and starts it. `on_left` is told its id where the engine does not remove it."""

    def __init__(self, container: DockerContainer, patience: Patience, on_left: Callable[[str], None]) -> None:
        self._container, self._patience, self._on_left = container, patience, on_left
        self._stdout, self._stderr = bytearray(), bytearray()
        try:
            # Attached before the start: what a container says first cannot be lost.
            params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            self._stream = container.attach_socket(params=params)
            container.start()
        except BaseException:
            self._remove()
            raise
        self._pid = _local_pid(container)
        # Over a Unix socket the client wraps the socket in a file object of its own; over TLS it does not.
        self._socket: socket.socket = getattr(self._stream, "_sock", None) or cast("socket.socket", self._stream)

    def send(self, parts: Iterable[memoryview], deadline: float) -> None:
        # The engine keeps the connection open while we write to a container that has died.
        channel.send(self._socket, parts, deadline, alive=self.alive)

    def receive(self, count: int, deadline: float) -> bytes:
        while len(self._stdout) < count:
            self._read(deadline)
        taken = bytes(self._stdout[:count])
        del self._stdout[:count]
        return taken

    def alive(self) -> bool:
        try:
            with self._patience.asking("look at a worker"):
                self._container.reload()
        except WorkerError:
            return False
        return bool(self._container.status == "running")

    def threads(self) -> int | None:
        return count_threads(self._pid) if self._pid else None

    def death(self) -> Death:
        deadline = monotonic() + 2
        with contextlib.suppress(EOFError, TimeoutError):
            while True:  # its last words may still be on their way
                self._read(deadline)
        stderr = self._stderr.decode("utf-8", "replace")
        try:
            # Not by the engine's patience: it is the worker that may take its time.
            code = self._container.wait(timeout=2)["StatusCode"]
            self._container.reload()
        except (DockerException, OSError):
            return Death(None, out_of_memory=False, stderr=stderr)
        out_of_memory = code == _KILLED or bool(self._container.attrs["State"]["OOMKilled"])
        return Death(code, out_of_memory=out_of_memory, stderr=stderr)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()
        self._remove()

    def _read(self, deadline: float) -> None:
        """Takes the next piece of what the container said, on whichever stream."""
        header = channel.receive(self._socket, _HEADER_BYTES, deadline)
        piece = channel.receive(self._socket, int.from_bytes(header[4:], "big"), deadline)
        if header[0] == _STDOUT:
            self._stdout += piece
        elif header[0] == _STDERR:
            self._stderr += piece
            del self._stderr[: -channel.LAST_WORDS]

    def _remove(self) -> None:
        try:
            with self._patience.asking("end a worker"), contextlib.suppress(NotFound):
                self._container.remove(force=True, v=True)
        except WorkerError:
            self._on_left(str(self._container.id))


def _local_pid(container: DockerContainer) -> int | None:
    """The container's first process, where it is one of this machine: its control group bears the container's id.

    None also where another runtime than the usual ones puts something of its own there.
    """
    try:
        container.reload()
        if container.attrs["HostConfig"].get("Runtime") not in _USUAL_RUNTIMES:
            return None
        pid = int(container.attrs["State"]["Pid"])
        return pid if str(container.id) in Path(f"/proc/{pid}/cgroup").read_text() else None
    except (DockerException, OSError):
        return None
