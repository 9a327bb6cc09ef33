"""A rule's source as a tree. Python's warnings about it are for whoever writes the rule, and are told elsewhere."""

from __future__ import annotations

import ast
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

MAX_BYTES = 1024 * 1024

ONE_AT_A_TIME = threading.RLock()
"""Whoever changes how Python warns holds this: there is one list of filters for all threads."""


class Unreadable(Exception):
    """It is no Python that can be read; the message says why."""


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings in here."""
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse(source: bytes | str) -> ast.Module:
    """Raises Unreadable. Call it quietly."""
    if len(source) > MAX_BYTES:
        raise Unreadable("it is too long to be read")
    try:
        return ast.parse(source)
    except (RecursionError, MemoryError):
        raise Unreadable("it is nested too deeply to be read") from None
    except (SyntaxError, ValueError, OverflowError) as error:
        raise Unreadable(f"it is not valid Python: {error}") from None
