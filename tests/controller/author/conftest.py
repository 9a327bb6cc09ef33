"""What the tests of the author's tools share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def soon() -> Iterator[Callable[[Iterator[Any]], Any]]:
    """The next of some saves; a failure where none is told of."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)

    def soon(told: Iterator[Any]) -> Any:
        signal.alarm(30)
        try:
            return next(told)
        except KeyboardInterrupt:
            pytest.fail("nothing was told of")
        finally:
            signal.alarm(0)

    yield soon
    signal.signal(signal.SIGALRM, before)
