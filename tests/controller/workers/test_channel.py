"""Bytes through a real socket: all of them, in order, and few turns for many small parts."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline.workers.channel import receive, send

SIZES = st.lists(st.one_of(st.integers(0, 300), st.sampled_from([65_535, 65_536, 65_537, 200_000])), max_size=12)


class Counting:
    """A socket that counts how often it is sent to."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.sends = 0

    def settimeout(self, seconds: float) -> None:
        self._sock.settimeout(seconds)

    def send(self, part: memoryview) -> int:
        self.sends += 1
        return self._sock.send(part)


@settings(max_examples=40, deadline=None)
@given(SIZES)
def test_everything_arrives_in_order(sizes: list[int]) -> None:
    parts = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    here, there = socket.socketpair()
    with here, there, ThreadPoolExecutor(1) as thread:
        coming = thread.submit(receive, there, sum(sizes), monotonic() + 10)
        send(here, map(memoryview, parts), monotonic() + 10)
        assert coming.result() == b"".join(parts)


def test_many_small_parts_take_few_turns() -> None:
    here, there = socket.socketpair()
    with here, there, ThreadPoolExecutor(1) as thread:
        counting = Counting(here)
        coming = thread.submit(receive, there, 500 * 100, monotonic() + 10)
        send(counting, [memoryview(b"x" * 100)] * 500, monotonic() + 10)  # type: ignore[arg-type]
        coming.result()
    assert counting.sends < 10


def test_a_side_that_does_not_read_is_not_waited_for() -> None:
    here, there = socket.socketpair()
    with here, there, pytest.raises(TimeoutError):
        send(here, [memoryview(bytes(50_000_000))], monotonic() + 0.2)


def test_a_side_that_is_gone_is_told() -> None:
    here, there = socket.socketpair()
    there.close()
    with here, pytest.raises(EOFError):
        send(here, [memoryview(b"x")], monotonic() + 1)
