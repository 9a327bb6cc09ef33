"""One frame: the magic and version, the length of a JSON header, the header, then the raw buffers it announces.

Frames to the worker may carry buffers; frames from the worker are a header alone.
"""

from __future__ import annotations

import os
import sys
from json import dumps, loads  # by name: a rule that tampers with the module harms itself alone
from select import select
from typing import Any, NamedTuple

MAGIC = b"TRL\x01"
PREFIX_BYTES = 8
MAX_HEADER = 64 * 1024 * 1024
MAX_BUFFERS = 2**40
KEPT_SECONDS = 1.0
"""How long a worker that is asked nothing keeps the memory of the last buffers."""


class FrameError(Exception):
    """What came is no frame of ours."""


class Frame(NamedTuple):
    """A header, and views of the buffers that came with it."""

    header: dict[str, Any]
    buffers: list[memoryview]


def prefix(header: bytes) -> bytes:
    """What stands before a header."""
    return MAGIC + len(header).to_bytes(4, "little")


def header_length(start: bytes, limit: int = MAX_HEADER) -> int:
    """The header's length, out of the first eight bytes of a frame."""
    length = int.from_bytes(start[4:PREFIX_BYTES], "little")
    if start[:4] != MAGIC:
        raise FrameError(f"a frame begins with {MAGIC!r}, not {start[:4]!r}")
    if length > limit:
        raise FrameError(f"a frame's header of {length} bytes is larger than the limit of {limit}")
    return length


class Pipe:
    """The worker's end: blocking reads and writes of whole frames on two file descriptors.

    Buffers are read into the memory of those before them, where nobody holds on to these any more: it costs more to get
    memory from the system than to copy into it.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer = reader, writer
        self._room = bytearray()

    def read(self) -> Frame | None:
        """The next frame; None where the other side has hung up."""
        if not select([self._reader], [], [], KEPT_SECONDS)[0]:
            self._room = bytearray()
        start = self._exactly(PREFIX_BYTES)
        if start is None:
            return None
        text = self._exactly(header_length(bytes(start)))
        if text is None:
            return None
        header = loads(bytes(text))
        lengths: list[int] = header.get("buffers", [])
        total = sum(lengths)
        if total > MAX_BUFFERS:
            raise FrameError(f"the buffers of a frame are {total} bytes, more than the limit of {MAX_BUFFERS}")
        body = self._room_for(total)
        return Frame(header, _cut(body, lengths)) if self._fill(body) else None

    def write(self, header: dict[str, Any], *, limit: int = MAX_HEADER) -> None:
        """Writes a frame without buffers. Raises FrameError, with nothing written, where it is above the limit."""
        text = dumps(header, separators=(",", ":")).encode()
        if len(text) > limit:
            raise FrameError(f"the reply is {len(text)} bytes, more than the limit of {limit}")
        rest = memoryview(prefix(text) + text)
        while rest:
            rest = rest[os.write(self._writer, rest) :]

    def _room_for(self, count: int) -> memoryview:
        held = sys.getrefcount(self._room) > 2  # besides `self`, and the call: a view of it that a rule has kept
        if held or len(self._room) < count:
            self._room = bytearray()  # gone before there is more
            self._room = bytearray(count)
        return memoryview(self._room)[:count]

    def _exactly(self, count: int) -> memoryview | None:
        buffer = memoryview(bytearray(count))
        return buffer if self._fill(buffer) else None

    def _fill(self, buffer: memoryview) -> bool:
        """Whether that much came before the other side hung up."""
        while buffer:
            got = os.readv(self._reader, [buffer])
            if got == 0:
                return False
            buffer = buffer[got:]
        return True


def _cut(body: memoryview, lengths: list[int]) -> list[memoryview]:
    buffers, start = [], 0
    for length in lengths:
        buffers.append(body[start : start + length])
        start += length
    return buffers
