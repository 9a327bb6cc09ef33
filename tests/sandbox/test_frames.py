"""Frames, whole and broken."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trapline_sandbox.frames import MAGIC, FrameError, Pipe, header_length, prefix


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
