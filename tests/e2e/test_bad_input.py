"""What an author has not got right yet: every command says what, and none of them falls over it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import git
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from trapline.cli import COMMANDS, cli
from trapline.errors import TraplineError

COMMANDS_OF_AUTHORS = {
    "validate": ("validate",),
    "test": ("test",),
    "try": ("try", "one", "--once"),
    "backtest": ("backtest", "--since", "1h"),
    "diff": ("diff", "--base", "HEAD", "--since", "1h"),
    "lock": ("lock", "one"),
    "plan": ("plan", ".", "--base", "HEAD"),
    "explain": ("explain", "one"),
}
CONFIG = """
name: one
enabled: true
tables: [logs]
tests:
  - {name: it matches, match: true, records: [{event: {action: bad}}]}
  - {name: it does not, match: false, records: [{event: {action: good}}]}
"""
FINE = "def detect(record):\n    return record.deepget('event.action') == 'bad'\n"
LOOPS = "def detect(record):\n    while record.deepget('event.action'):\n        pass\n    return True\n"
PRINTS = "def detect(record):\n    for _ in range(1000):\n        print('x' * 100_000)\n    return True\n"


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said on both its ways out."""

    code: int
    text: str


class Folder:
    """What an author has so far."""

    def __init__(self, path: Path) -> None:
        self.path = path / "repository"
        self.path.mkdir()
        self._environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(path / "cache"),
            "TRAPLINE_SANDBOX": "process",
            "TRAPLINE_HOME": str(path / "home"),
        }

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def detection(self, script: str, config: str = CONFIG) -> None:
        self.write("trapline.yml", "tables: {logs: {path: lake/logs}}\nsandbox: {record_timeout: 0.5s}\n")
        self.write("detections/one/detection.yml", config)
        self.write("detections/one/detect.py", script)

    def commit(self) -> None:
        repository = git.Repo.init(self.path, initial_branch="main")
        repository.git.add(all=True)
        who = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        repository.git.execute(["git", *who, "commit", "-qm", "All of it", "--allow-empty"])

    def ask(self, *arguments: str) -> Said:
        """The command within this process, which is quicker by the time that its start takes."""
        here = Path.cwd()
        os.chdir(self.path)
        try:
            done = CliRunner().invoke(cli, arguments, env=self._environment)
        finally:
            os.chdir(here)
        if isinstance(done.exception, TraplineError):
            return Said(1, f"{done.output}error: {done.exception}")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.output)

    def run(self, *arguments: str) -> Said:
        """The command as somebody types it."""
        done = subprocess.run(
            [sys.executable, "-m", "trapline", *arguments],
            cwd=self.path,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Said(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


each_command = pytest.mark.parametrize("command", COMMANDS_OF_AUTHORS.values(), ids=list(COMMANDS_OF_AUTHORS))


def is_calm(said: Said) -> None:
    assert "Traceback" not in said.text
    assert len(said.text) < 20_000
    assert said.code in (0, 1, 3), said.text


def test_these_are_commands() -> None:
    assert set(COMMANDS_OF_AUTHORS) <= set(COMMANDS)


@each_command
def test_an_empty_folder(folder: Folder, command: tuple[str, ...]) -> None:
    said = folder.run(*command)
    is_calm(said)
    assert said.code == 1
    assert "error: " in said.text
    assert "\n  " in said.text  # the remedy


@each_command
def test_a_folder_that_is_no_repository(folder: Folder, command: tuple[str, ...]) -> None:
    folder.write("notes.txt", "nothing of ours")
    folder.write("src/main.py", "print(1)\n")
    said = folder.ask(*command)
    is_calm(said)
    assert said.code == 1
    assert "error: " in said.text


HALF = {
    "a config alone": lambda folder: folder.write("detections/one/detection.yml", CONFIG),
    "a script alone": lambda folder: folder.write("detections/one/detect.py", FINE),
    "empty files": lambda folder: folder.detection("", ""),
    "a broken config": lambda folder: folder.detection(FINE, "name: [one\n"),
    "a broken script": lambda folder: folder.detection("def detect(record:\n"),
    "no text at all": lambda folder: folder.detection("\x00\x01", "\x00\x01"),
    "an unfinished word": lambda folder: folder.detection("def detect(record):\n    return recor\n"),
    "broken settings": lambda folder: (folder.detection(FINE), folder.write("trapline.yml", "tables: [\n")),
}


@each_command
@pytest.mark.parametrize("begin", HALF.values(), ids=list(HALF))
def test_a_half_written_detection(folder: Folder, command: tuple[str, ...], begin: Callable[[Folder], object]) -> None:
    begin(folder)
    folder.commit()
    is_calm(folder.ask(*command))


@pytest.mark.parametrize("begin", HALF.values(), ids=list(HALF))
def test_what_is_half_written_is_said_with_its_place(folder: Folder, begin: Callable[[Folder], object]) -> None:
    begin(folder)
    said = folder.ask("validate")
    assert said.code == 1
    assert ": error: " in said.text
    assert "detections/one/" in said.text or "trapline.yml:" in said.text


@pytest.mark.parametrize("command", [("test",), ("try", "one", "--once")], ids=["test", "try"])
@pytest.mark.parametrize(("script", "word"), [(LOOPS, "longer than 0.5 s"), (PRINTS, "xxx")], ids=["loops", "prints"])
def test_a_rule_that_does_not_behave(folder: Folder, command: tuple[str, ...], script: str, word: str) -> None:
    folder.detection(script)
    lake = folder.path.parent / "home/lake/logs"
    lake.mkdir(parents=True)
    row = {"ts": datetime.now(UTC) - timedelta(minutes=5), "event": {"action": "bad"}}
    pq.write_table(pa.Table.from_pylist([row]), lake / "one.parquet")
    said = folder.run(*command)
    is_calm(said)
    assert word in said.text
