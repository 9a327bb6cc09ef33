"""`trapline logs`: what people see of what a rule printed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.playground import NOON
from trapline.cli import cli
from trapline.deploy.ledger import Ledger, Status, Sync
from trapline.errors import TraplineError
from trapline.state.database import Database
from trapline.state.logs import Logs

Put = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which the detection `signins`, with the id `d-1`, is known."""
    database = Database.in_home(tmp_path)
    status = Status("d-1", "signins", "detections/signins", Sync.SYNCED, "0123abc", NOON)
    Ledger(database).note(status)
    database.close()
    return tmp_path


@pytest.fixture
def put(home: Path) -> Iterator[Put]:
    database = Database.in_home(home)

    def put(*texts: str) -> None:
        for number, text in enumerate(texts):
            now = NOON + timedelta(seconds=number)
            Logs(database).append("d-1", build_digest="feed", source="logs 12:00", text=text, now=now)

    yield put
    database.close()


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["logs", "--home", str(home), *arguments], catch_exceptions=False)


@contextmanager
def following(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "trapline", "logs", "--home", str(home), "signins", "--follow", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.mark.parametrize("name", ["signins", "d-1", "detections/signins"])
def test_entries_are_shown_oldest_first(home: Path, put: Put, name: str) -> None:
    put("hello\nworld\n", "again")
    done = run(home, name)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "2026-01-01 12:00:00  logs 12:00\n  hello\n  world\n2026-01-01 12:00:01  logs 12:00\n  again\n"
    )


def test_only_the_newest_are_shown(home: Path, put: Put) -> None:
    put(*map(str, range(60)))
    shown = [line for line in run(home, "signins").stdout.splitlines() if line.startswith("  ")]
    assert shown == [f"  {number}" for number in range(10, 60)]
    assert run(home, "signins", "-n", "1").stdout == "2026-01-01 12:00:59  logs 12:00\n  59\n"


def test_what_is_printed_cannot_speak_to_the_terminal(home: Path, put: Put) -> None:
    put("\x1b[2J[bold]x[/bold]\x07\r\u202e\n2026-01-01 12:00:00  faked\ud800\0")
    assert run(home, "signins").stdout == (
        "2026-01-01 12:00:00  logs 12:00\n  [bold]x[/bold] \n  2026-01-01 12:00:00  faked\ufffd\ufffd\n"
    )


def test_for_programs(home: Path, put: Put) -> None:
    assert json.loads(run(home, "signins", "--json").stdout) == []
    put("hello\x1b[2J\n")
    [entry] = json.loads(run(home, "signins", "--json").stdout)
    assert entry == {
        "id": entry["id"],
        "at": "2026-01-01T12:00:00Z",
        "build_digest": "feed",
        "source": "logs 12:00",
        "text": "hello\x1b[2J\n",
    }


def test_a_detection_that_says_nothing(home: Path) -> None:
    assert run(home, "signins").stdout == "it has printed nothing yet\n"


def test_a_detection_that_nobody_knows(home: Path) -> None:
    with pytest.raises(TraplineError, match=r"there is no detection 'signin'.*did you mean `signins`"):
        run(home, "signin")


def test_following_shows_what_comes_until_it_is_interrupted(home: Path, put: Put) -> None:
    put("one", "two")
    with following(home, "-n", "1") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["2026-01-01 12:00:01  logs 12:00\n", "  two\n"]
        for text in ("three", "four"):
            put(text)
            assert [process.stdout.readline() for _ in range(2)][1] == f"  {text}\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def test_following_for_programs_gives_one_document_for_each(home: Path, put: Put) -> None:
    with following(home, "--json") as process:
        assert process.stdout is not None
        put("one")
        lines = [process.stdout.readline() for _ in range(7)]
        assert json.loads("".join(lines))["text"] == "one"


def test_following_ends_when_nobody_reads_any_more(home: Path, put: Put) -> None:
    put("one")
    with following(home) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)][1] == "  one\n"
        process.stdout.close()
        assert process.wait(timeout=20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
