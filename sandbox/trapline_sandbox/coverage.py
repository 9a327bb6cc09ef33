"""Which lines of a detection's own files run, from the moment its script is loaded."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

SHARED = "lib"
"""The folder with what is not the detection's own."""


class Coverage:
    """Counts from now on, in all threads. `folder` is that of the detection's files."""

    def __init__(self, folder: str) -> None:
        self._lines = dict(_executable(f"{folder}{os.sep}"))
        self._ran: dict[str, set[int]] = {file: set() for file in self._lines}
        self._listeners = {f"{folder}{os.sep}{file}": _listener(ran) for file, ran in self._ran.items()}
        self._listen()

    def told(self) -> dict[str, dict[str, list[int]]]:
        """For each file the lines that ran until now, and those that did not."""
        self._listen()  # again: an interruption in the middle of a listener ends it
        return {
            file: {"ran": sorted(lines & self._ran[file]), "missing": sorted(lines - self._ran[file])}
            for file, lines in self._lines.items()
        }

    def _listen(self) -> None:
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        return self._listeners.get(frame.f_code.co_filename)


def _listener(ran: set[int]) -> Any:
    def listen(frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            ran.add(frame.f_lineno)
        return listen

    return listen


def _executable(folder: str) -> Iterator[tuple[str, set[int]]]:
    for place, folders, files in os.walk(folder):
        if place == folder and SHARED in folders:
            folders.remove(SHARED)
        for name in files:
            if name.endswith(".py"):
                path = os.path.join(place, name)  # noqa: PTH118  a worker does without pathlib
                try:
                    with open(path, "rb") as file:  # noqa: PTH123
                        code = compile(file.read(), path, "exec")
                except (SyntaxError, ValueError):  # which only matters where it is imported, and is told there
                    continue
                yield path.removeprefix(folder), set(_lines(code))


def _lines(code: CodeType) -> Iterator[int]:
    for _start, _end, line in code.co_lines():
        if line:  # what belongs to no line has none, or 0
            yield line
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines(constant)
