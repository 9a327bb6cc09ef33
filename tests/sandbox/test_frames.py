"""Frames, whole and broken."""

from __future__ import annotations

import gc
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from trapline_sandbox import frames
from trapline_sandbox.frames import MAGIC, Frame, FrameError, Pipe, header_length, prefix


@pytest.fixture
def ends() -> Iterator[tuple[Pipe, int]]:
    """A pipe that reads what is written to the file descriptor beside it, and writes there too."""
    reader, writer = os.pipe()
    yield Pipe(reader, writer), writer
    os.close(reader)


def test_a_frame_arrives_with_its_buffers(ends: tuple[Pipe, int]) -> None:
    pipe, writer = ends
    header = b'{"type": "x", "buffers": [2, 0, 3]}'
    os.write(writer, prefix(header) + header + b"abcde")
    frame = pipe.read()
    assert frame is not None
    assert frame.header["type"] == "x"
    assert [bytes(buffer) for buffer in frame.buffers] == [b"ab", b"", b"cde"]
    pipe.write({"type": "y"})
    answer = pipe.read()
    assert answer is not None
    assert (answer.header, answer.buffers) == ({"type": "y"}, [])
    os.close(writer)
    assert pipe.read() is None


def _send(writer: int, body: bytes) -> None:
    header = b'{"buffers": [%d]}' % len(body)
    os.write(writer, prefix(header) + header + body)


def _sent(ends: tuple[Pipe, int], body: bytes) -> Frame:
    pipe, writer = ends
    _send(writer, body)
    frame = pipe.read()
    assert frame is not None
    return frame


def test_a_buffer_that_is_held_is_never_written_over(ends: tuple[Pipe, int]) -> None:
    held = _sent(ends, b"first").buffers[0][1:3]
    others = [bytes(_sent(ends, body).buffers[0]) for body in (b"other", b"and", b"another")]
    assert others == [b"other", b"and", b"another"]
    assert bytes(held) == b"ir"


def test_memory_that_nobody_holds_is_used_again(ends: tuple[Pipe, int]) -> None:
    pipe, _ = ends
    for body in (b"x" * 10_000, b"y" * 9_000, b"z" * 8_000):
        assert bytes(_sent(ends, body).buffers[0]) == body
        assert len(pipe._room) == 10_000


def test_a_worker_at_rest_lets_go_of_the_memory(ends: tuple[Pipe, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "KEPT_SECONDS", 0.01)
    pipe, writer = ends
    used: list[int] = []

    def ask_later() -> None:
        deadline = time.monotonic() + 10
        while not used or (used[-1] > used[0] - 50_000 and time.monotonic() < deadline):
            used.append(tracemalloc.get_traced_memory()[0])
            time.sleep(0.02)
        _send(writer, b"more")

    gc.collect()
    tracemalloc.start()
    try:
        assert len(_sent(ends, b"x" * 60_000).buffers[0]) == 60_000
        used.append(tracemalloc.get_traced_memory()[0])
        thread = threading.Thread(target=ask_later)
        thread.start()
        assert pipe.read() is not None
        thread.join()
    finally:
        tracemalloc.stop()
    assert used[-1] < used[0] - 50_000


@pytest.mark.parametrize("whole", [b"TRL", prefix(b"{}"), prefix(b'{"buffers": [2]}') + b'{"buffers": [2]}a'])
def test_a_frame_that_breaks_off_is_the_end(ends: tuple[Pipe, int], whole: bytes) -> None:
    pipe, writer = ends
    os.write(writer, whole)
    os.close(writer)
    assert pipe.read() is None


def test_a_reply_above_the_limit_is_not_written_at_all(ends: tuple[Pipe, int]) -> None:
    pipe, writer = ends
    with pytest.raises(FrameError, match="more than the limit of 10"):
        pipe.write({"text": "x" * 100}, limit=10)
    os.close(writer)
    assert pipe.read() is None


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="begins with"):
        header_length(b"HTTP/1.1")
    with pytest.raises(FrameError, match="larger than the limit"):
        header_length(MAGIC + b"\xff\xff\xff\xff", 1000)
