"""The seam between a worker's protocol and the way its sandbox is reached: a byte stream with deadlines."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

_TOGETHER = 64 * 1024

LAST_WORDS = 8 * 1024
"""How much of a dead worker's stderr is kept."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended: its exit code as a shell gives it (128 + signal), and its last words on stderr."""

    code: int | None
    out_of_memory: bool
    stderr: str


class Channel(Protocol):
    """One sandbox's stdin and stdout. `deadline` is on the monotonic clock.

    Raises TimeoutError past the deadline and EOFError where the other side is gone.
    """

    def send(self, parts: Iterable[memoryview], deadline: float) -> None: ...

    def receive(self, count: int, deadline: float) -> bytes: ...

    def alive(self) -> bool:
        """Whether the sandbox still runs."""
        ...

    def threads(self) -> int | None:
        """How many threads the worker's process has, as the kernel tells it; None where it cannot be told."""
        ...

    def death(self) -> Death:
        """Waits a moment for the end of a sandbox that hung up, and says how it ended."""
        ...

    def close(self) -> None:
        """Ends the sandbox and all in it; safe to call twice."""
        ...


def send(
    sock: socket.socket, parts: Iterable[memoryview], deadline: float, *, alive: Callable[[], bool] = lambda: True
) -> None:
    """Sends all of it before the deadline. While nothing moves, `alive` is asked whether there is still a point."""
    try:
        for part in _joined(parts):
            while part:
                sock.settimeout(min(_left(deadline), 1.0))
                try:
                    part = part[sock.send(part) :]
                except TimeoutError:
                    if not alive():
                        raise EOFError from None
    except ConnectionError as error:
        raise EOFError from error


def _joined(parts: Iterable[memoryview]) -> Iterator[memoryview]:
    """The same bytes, the many small parts of a batch together: each turn through the kernel has its price."""
    small = bytearray()
    for part in parts:
        if part.nbytes + len(small) > _TOGETHER:
            yield memoryview(small)
            small = bytearray()
        if part.nbytes > _TOGETHER:
            yield part
        else:
            small += part
    yield memoryview(small)


def receive(sock: socket.socket, count: int, deadline: float) -> bytes:
    """Exactly `count` bytes before the deadline."""
    parts = bytearray()
    while len(parts) < count:
        sock.settimeout(_left(deadline))
        try:
            part = sock.recv(min(count - len(parts), 1 << 20))
        except ConnectionError as error:
            raise EOFError from error
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
