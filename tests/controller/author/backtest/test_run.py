"""`trapline backtest`, as an author uses it: on a checkout, with a lake that holds a past."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tests.playground import NOON, Playground
from trapline.author.history.past import Past, PastAlert, Version
from trapline.author.history.summary import summarise
from trapline.cli import cli
from trapline.cli.backtest_text import bars
from trapline.detection.model import Severity
from trapline.errors import TraplineError
from trapline.settings import Settings
from trapline.window import Window

Run = Callable[..., Result]
HOSTILE = '<script>alert(1)</script>"\x1b]0;x\x07[bold]\u202e'
BY_USER = "def detect(record):\n    return True\ndef dedupe(record):\n    return record['user']\n"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playground:
    ground = Playground(tmp_path / "ground")
    ground.detection("one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(ground.repository)
    return ground


@pytest.fixture
def run(ground: Playground) -> Run:
    def run(*arguments: str, until: str = "2026-01-01T13:00:00Z", since: str = "1h") -> Result:
        common = ["--since", since, "--until", until, "--home", str(ground.home), "--sandbox", "process"]
        return CliRunner().invoke(cli, ["backtest", *arguments, *common], catch_exceptions=False)

    return run


def test_it_tells_the_story_of_a_detection(ground: Playground, run: Run) -> None:
    code = (
        f"{BY_USER}def title(record):\n    return f\"{{record['user']}} did it\"\n"
        "def severity(record):\n    return 'high' if record['user'] == 'root' else 'low'\n"
    )
    ground.detection("one", code, alert={"threshold": 2, "deduplication_window_minutes": 10}, enabled=False)
    ground.records(1, 2, 31, 32, user="root")
    ground.records(5, 6, 7, user="bob")
    ground.records(50, user="eve")
    said = run("one")
    assert said.exit_code == 0
    head, _, _, counts, matches, alerts, ends, most, *rest = said.stdout.splitlines()
    assert head == ("2026-01-01 12:00:00 to 2026-01-01 13:00:00 UTC, in the sandbox process; nothing was delivered")
    assert "one (not enabled)" in said.stdout
    assert counts == "  3 alerts (72 a day), 2 high, 1 low, from 8 matches; 1 below the threshold"
    # 12:00 on, in steps of a minute
    assert matches == "  matches  ██  ███                       ██                 █         "
    assert alerts == "  alerts   █   █                         █                            "
    assert most == "          at most 1 match and 1 alert in 1m"
    assert ends.split() == ["2026-01-01", "12:00", "2026-01-01", "13:00"]
    assert rest[:2] == ["  keys    2 alerts of 4 matches: root", "          1 alert of 3 matches: bob"]
    assert "  such as 2026-01-01 12:01:00 high root did it" in rest
    assert rest[-1].startswith("1 detection, 3 alerts (72 a day); 8 records in 1 scan, ")


def test_without_a_name_all_are_run_and_compared(ground: Playground, run: Run) -> None:
    for number in range(12):
        ground.detection(f"quiet_{number}", "def detect(record):\n    return False\n")
    ground.records(1)
    said = run()
    assert said.stdout.splitlines()[3].split() == [
        "one",
        "1",
        "24",
        "1",
        "info",
        *said.stdout.splitlines()[3].split()[-2:],
    ]
    assert "name a detection to see its alerts" in said.stdout
    assert "13 detections, 1 alert" in said.stdout


@pytest.mark.parametrize("name", ["one", "the-id", "detections/one", "detections/one/detect.py", "detections"])
def test_a_name_may_be_an_id_or_a_path(ground: Playground, run: Run, name: str) -> None:
    ground.detection("one", id="the-id")
    ground.records(1)
    said = json.loads(run(name, "--json").stdout)
    assert [one["identity"] for one in said["detections"]] == ["the-id"]


def test_who_is_in_a_folder_asks_about_that(ground: Playground, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.detection("two")
    monkeypatch.chdir(ground.repository / "detections/two")
    assert [one["name"] for one in json.loads(run("--json").stdout)["detections"]] == ["two"]
    assert [one["name"] for one in json.loads(run("one", "--json").stdout)["detections"]] == ["one"]


def test_a_name_that_nobody_has(ground: Playground, run: Run) -> None:
    with pytest.raises(TraplineError, match="there is no detection 'ome'") as caught:
        run("ome")
    assert caught.value.remedy.startswith("did you mean `one`?")


def test_json_has_the_numbers(ground: Playground, run: Run) -> None:
    ground.write("suppressions.yml", "suppressions: [{dedupe: ci, owner: o, reason: r, expires: 2026-02-01}]\n")
    ground.detection("one", BY_USER)
    ground.records(1, 2, user="root")
    ground.records(3, user="ci")
    said = json.loads(run("--format", "json").stdout)
    [one] = said["detections"]
    assert (said["since"], said["until"]) == ("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z")
    assert (one["alerts"], one["matches"], one["suppressed"], one["pending"]) == (1, 3, 1, 0)
    assert one["dedupe_keys"] == [{"dedupe": "root", "alerts": 1, "matches": 2}]
    assert sum(one["histogram"]["matches"]) == 3
    assert one["examples"][0]["first_match_at"] == "2026-01-01T12:01:00Z"
    assert said["totals"]["bytes_scanned"] == one["bytes_scanned"] > 0
    assert said["totals"]["records"] == one["records"] == 3


class _Reader(HTMLParser):
    """The tags of a page, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_hostile_texts_and_obeys_none(ground: Playground, run: Run, tmp_path: Path) -> None:
    code = f"{BY_USER}def title(record):\n    return record['user']\n"
    ground.detection("one", code)
    ground.detection("bad", f"def detect(record):\n    raise ValueError({HOSTILE!r})\n")
    ground.records(1, user=HOSTILE)
    file = tmp_path / "page.html"
    said = run("--format", "html", "--output", str(file))
    assert said.exit_code == 1
    assert said.stdout.endswith(f"written to {file}\n")
    page = file.read_text()
    read = _Reader(page)
    assert "script" not in read.tags
    assert read.text.count("<script>alert(1)</script>") >= 3  # as a key, a title, and what a rule raised
    assert not set("\x1b\x07\u202e") & set(page)
    assert not set("\x1b\x07\u202e") & set(said.stdout + said.stderr)
    assert {"svg", "title", "desc", "table"} <= set(read.tags)
    assert "http" not in page.replace("http-equiv", "")
    assert run("--format", "html").stdout.startswith("<!doctype html>")


def test_what_fails_is_said_and_the_others_are_run(ground: Playground, run: Run) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs"}, "gone": {"path": "lake/gone"}})
    ground.detection("raises", "def detect(record):\n    return record['user'] == 'x'\n")
    ground.detection("elsewhere", tables=["gone"])
    ground.detection("unknown", tables=["nowhere"])
    ground.detection("half", "def detect(record")
    ground.detection("stray", requirements="")
    ground.write("detections/stray/requirements.txt", "../evil\n")
    ground.records(1)
    said = run()
    assert said.exit_code == 1
    assert "error: raises: failed 1 time, first in detect() at detect.py:2: NoSuchField" in said.stderr
    assert "error: elsewhere: not run whole: table gone: the table's folder" in said.stderr
    for name in ("unknown", "half", "stray"):
        assert f"error: detections/{name}: not run: detections/{name}/" in said.stderr
    assert "3 detections, 1 alert" in said.stdout


def test_too_much_is_not_read(ground: Playground, run: Run) -> None:
    ground.records(1)
    said = run("--max-bytes", "1")
    assert said.exit_code == 1
    assert "--max-bytes allows 1 byte" in said.stderr
    assert run("--max-bytes", "1GiB").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--max-bytes", "much"], "is no size"),
        (["--output", "x.txt"], "--output is for --format json and html"),
        (["--output", "nowhere/x.html", "--format", "html"], "nowhere is no folder"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], complaint: str) -> None:
    said = run(*arguments)
    assert said.exit_code == 2
    assert complaint in said.stderr


def test_as_a_user_runs_it(ground: Playground, tmp_path: Path) -> None:
    ground.records(1)
    command = [sys.executable, "-m", "trapline", "backtest", "one", "--sandbox", "process", "--home", str(ground.home)]
    command += ["--since", "2026-01-01", "--until", "2026-01-02"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ground.repository, env=os.environ)
    assert (said.returncode, said.stderr) == (0, "")
    assert "1 alert (1.0 a day), all info, from 1 match" in said.stdout
    (ground.repository / "trapline.yml").unlink()
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ground.repository, env=os.environ)
    assert said.returncode == 1
    assert said.stderr.startswith(f"error: {ground.repository} has no trapline.yml, so that no table is known\n")


@pytest.mark.parametrize(("cwd", "complaint"), [("empty", "has no trapline.yml"), ("only", "no detections here")])
def test_where_there_is_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cwd: str, complaint: str
) -> None:
    folder = tmp_path / cwd
    folder.mkdir()
    if cwd == "only":
        (folder / "trapline.yml").write_text("tables: {logs: {path: lake}}\n")
    monkeypatch.chdir(folder)
    with pytest.raises(TraplineError, match=complaint):
        run()


def past_of(times: list[float], alerts: int, window: Window) -> Past:
    """A past with a match at each of these shares of the window, the first of which begin alerts."""
    moments = sorted(window.start + (window.end - window.start) * share for share in times)
    raised: list[Any] = [
        PastAlert("t", str(at), Severity.LOW, (), None, None, {}, 1, at, at, "logs", {}) for at in moments[:alerts]
    ]
    version: Any = Version("one", None, None)  # type: ignore[arg-type]  # nothing looks at it
    return Past(version, raised, matches=len(times), match_times=moments)


@given(
    minutes=st.integers(1, 60 * 24 * 3000),
    offset=st.integers(0, 10**6),
    times=st.lists(st.floats(0, 0.999), max_size=20),  # nearer to 1 is the end, rounded
    alerts=st.integers(0, 20),
)
def test_a_histogram_has_everything_once(minutes: int, offset: int, times: list[float], alerts: int) -> None:
    start = NOON + timedelta(seconds=offset)
    window = Window(start, start + timedelta(minutes=minutes))
    histogram = summarise(past_of(times, alerts, window), window, Settings()).histogram
    assert sum(histogram.matches) == len(times)
    assert sum(histogram.alerts) == min(alerts, len(times))
    assert 1 <= len(histogram.matches) <= 61
    assert histogram.start <= window.start < histogram.start + histogram.step
    end = histogram.start + histogram.step * len(histogram.matches)
    assert end - histogram.step < window.end <= end


@given(st.lists(st.integers(0, 1000), max_size=60))
def test_a_bar_is_never_lost_and_the_highest_is_full(counts: list[int]) -> None:
    drawn = bars(counts)
    assert [one != " " for one in drawn] == [count > 0 for count in counts]
    if any(counts):
        assert drawn[counts.index(max(counts))] == "█"
