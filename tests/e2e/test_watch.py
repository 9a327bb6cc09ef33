"""`trapline test --watch`, in a process of its own, beside somebody who saves files."""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import TRAPLINE, environment
from tests.playground import MATCH_BAD, Playground

CASES = [
    {"name": "a bad one", "match": True, "records": [{"event": {"action": "bad"}}]},
    {"name": "a good one", "match": False, "records": [{"event": {"action": "good"}}]},
]


class Watching:
    """The command, and what it says, line by line."""

    def __init__(self, path: Path, cache: Path) -> None:
        self._process = subprocess.Popen(
            [*TRAPLINE, "test", str(path), "--sandbox", "process", "--watch"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment() | {"XDG_CACHE_HOME": str(cache)},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, text: str) -> str:
        """What it says until a line with this in it."""
        said = ""
        while text not in said:
            said += self._lines.get(timeout=60)
        return said

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=60)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)


@pytest.fixture
def watching(ground: Playground, tmp_path: Path) -> Iterator[Watching]:
    for name in ("one", "two"):
        ground.detection(name, tests=CASES)
    watching = Watching(ground.repository, tmp_path / "cache")
    yield watching
    watching.end()


def test_each_save_runs_what_it_concerns(ground: Playground, watching: Watching) -> None:
    first = watching.until("cases hold")
    assert "watching" in first
    assert "2 detections, 4 of 4 cases hold" in first

    ground.write("detections/two/detect.py", "def detect(record):\n    return False\n")
    failed = watching.until("cases hold")
    assert "detections/two/detect.py saved\n" in failed
    assert "a bad one" in failed
    assert "1 detection, 1 of 2 cases hold" in failed

    script = ground.repository / "detections/two/detect.py"
    script.write_text("def detect(record:\n")  # half of it is saved
    assert "detections/two/detect.py:1" in watching.until("never closed")

    whole = script.with_name("new")
    whole.write_text(f"{MATCH_BAD}  # again\n")
    whole.replace(script)  # as many editors do it
    assert "1 detection, 2 of 2 cases hold" in watching.until("cases hold")

    ground.settings(default_destinations=[])  # which may matter to all
    assert "2 detections, 4 of 4 cases hold" in watching.until("cases hold")

    assert watching.interrupt() == 0


def test_an_interrupt_in_the_middle_of_a_test_ends_it(ground: Playground, watching: Watching) -> None:
    watching.until("cases hold")
    ground.detection("one", "def detect(record):\n    while True: pass\n", tests=CASES)
    watching.until("saved")
    assert watching.interrupt() == 0
