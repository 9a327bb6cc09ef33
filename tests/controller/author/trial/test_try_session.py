"""A session of `trapline try` as somebody has it: in a terminal, with saves and typed lines, and in a pipe."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playground import MATCH_BAD, Playground

WINDOW = ["--since", "2026-01-01T12:00:00", "--until", "2026-01-01T14:00:00"]
READY = "? says what else there is"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self._end, other = pty.openpty()
        self.process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, cwd=cwd, env=env)
        os.close(other)
        self.said = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, *words: str, within: float = 60) -> str:
        """What it says from now on, until all of these words were among it."""
        deadline, said = time.monotonic() + within, ""
        while not all(word in said for word in words):
            assert time.monotonic() < deadline, f"no {words} in {said!r}, after {self.said!r}"
            if select.select([self._end], [], [], 0.1)[0]:
                said += os.read(self._end, 65_536).decode()
        self.said += said
        return said

    def hang_up(self) -> None:
        os.close(self._end)
        self._end = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._end != -1:
            self.hang_up()


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    ground.detection("bad", MATCH_BAD)
    ground.records(1, 2)
    ground.records(3, 4, 5, event={"action": "good"})
    return ground


@pytest.fixture
def command(ground: Playground) -> list[str]:
    place = ["--home", str(ground.home), "--sandbox", "process", *WINDOW]
    return [sys.executable, "-m", "trapline", "try", "bad", *place]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "80"}


@pytest.fixture
def terminal(ground: Playground, command: list[str], env: dict[str, str]) -> Iterator[Terminal]:
    opened = Terminal(command, cwd=ground.repository, env={**env, "TERM": "dumb"})
    yield opened
    opened.close()


def test_each_save_is_tried(ground: Playground, terminal: Terminal) -> None:
    terminal.until("bad: 2 matches, 1 alert, 0 failures", READY)
    ground.detection("bad", MATCH_BAD.replace('"bad"', '"good"'))
    terminal.until("bad: 3 matches, 1 alert, 0 failures")
    terminal.type("p 1\n")
    terminal.until("record 1: detect answered False at detect.py:2", "'bad'")
    terminal.type("3\n")
    terminal.until("record 3: a match, bad", '"action": "good"')
    ground.write("detections/bad/detect.py", "def detect(record):\n    return record.[\n")
    terminal.until("detections/bad/detect.py:2", "error: ")
    ground.detection("bad", MATCH_BAD)
    terminal.until("bad: 2 matches")
    terminal.type("a\n")
    terminal.until("as terminal gets it", "INFO  bad")
    terminal.type("999\n")
    terminal.until("there is no record '999' in the sample")
    ground.records(6)
    terminal.type("s\n")
    terminal.until("reading a sample of logs", "bad: 3 matches")
    terminal.type("?\nq\n")
    terminal.until("fetch the sample anew")
    assert terminal.process.wait(30) == 0
    assert "\x1b" not in terminal.said


def test_a_save_of_something_else_is_left_alone_then_it_is_ended(ground: Playground, terminal: Terminal) -> None:
    terminal.until("bad: 2 matches", READY)
    ground.detection("other", MATCH_BAD)
    time.sleep(0.5)
    ground.settings(default_destinations=[])  # which is the same for all of them
    terminal.until("bad: 2 matches", "near misses")
    ground.detection("other", MATCH_BAD + "  # again")
    time.sleep(1)
    ground.detection("bad", MATCH_BAD.replace('"bad"', '"good"'))
    assert terminal.until("bad: 3 matches").count("UTC ---") == 1
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(30) == 0
    assert "Traceback" not in terminal.said


def test_in_a_pipe_it_is_plain_lines(ground: Playground, command: list[str], env: dict[str, str]) -> None:
    ended = subprocess.run(
        command, input=b"\np 1", capture_output=True, cwd=ground.repository, env=env, timeout=60, check=False
    )
    said = ended.stdout.decode()
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert said.count("bad: 2 matches") == 2
    assert "record 1: detect answered True" in said
    assert "\x1b" not in said


def test_what_is_broken_from_the_start_waits_for_its_author(ground: Playground, terminal: Terminal) -> None:
    terminal.until(READY)
    ground.write("detections/bad/detection.yml", "name: bad\ntables: [\n")
    terminal.until("detections/bad/detection.yml")
    ground.detection("bad", "while True:\n    pass\ndef detect(record): ...\n", limits={"record_timeout": "1s"})
    time.sleep(0.2)
    ground.detection("bad", MATCH_BAD + "  # at last")
    terminal.until("bad: 2 matches", "its condition has one part only\r\n", within=90)
    terminal.hang_up()
    assert terminal.process.wait(30) == 0
