"""`trapline diff`, as an author uses it: on a branch, over a lake, with changes of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import git
import pytest
from click.testing import CliRunner, Result

from tests.playground import MATCH_BAD, Playground
from trapline.cli import cli
from trapline.errors import TraplineError

NAMED = """

def title(record):
    return f"{record.deepget('user')} was bad"

def dedupe(record):
    return record.deepget("user")
"""
Run = Callable[..., Result]


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playground:
    """Two detections on main, a branch that is checked out, and a day in which alice is bad twice and bob once."""
    ground = Playground(tmp_path / "ground")
    ground.detection("one", MATCH_BAD + NAMED)
    ground.detection("two")
    ground.commit()
    git.Repo(ground.repository).git.checkout("-qb", "change")
    ground.records(1, 2, user="alice")
    ground.records(3, user="bob")
    ground.records(4, user="carol", event={"action": "worse"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(ground.repository)
    return ground


@pytest.fixture
def diff(ground: Playground) -> Run:
    def run(*arguments: str) -> Result:
        past = ["--since", "2026-01-01", "--until", "2026-01-02"]
        command = ["diff", "--base", "main", "--home", str(ground.home), "--sandbox", "process", *past, *arguments]
        return CliRunner().invoke(cli, command, catch_exceptions=False)

    return run


def told(diff: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    """What is said as JSON of each detection that differs."""
    return {one["name"]: one for one in json.loads(diff("--json", *arguments).stdout)["detections"]}


def titles(alerts: list[dict[str, Any]]) -> list[str]:
    return [alert["title"] for alert in alerts]


def test_without_a_change_nothing_runs(diff: Run) -> None:
    said = diff()
    assert said.exit_code == 0
    assert said.stdout.startswith("no detection that runs has changed since ")


def test_alerts_are_added_removed_and_changed(ground: Playground, diff: Run) -> None:
    worse = MATCH_BAD.replace('== "bad"', 'in ("bad", "worse")') + ' and record.deepget("user") != "bob"'
    ground.detection("one", worse + NAMED, alert={"severity": "high"})
    said = told(diff)
    assert list(said) == ["one"]
    one = said["one"]
    assert (one["kind"], one["files"]) == ("changed", ["detect.py", "detection.yml"])
    assert (titles(one["added"]), titles(one["removed"])) == (["carol was bad"], ["bob was bad"])
    [change] = one["changed"]
    assert (change["fields"], change["now"]["title"]) == (["severity"], "alice was bad")
    text = diff().stdout
    for line in (
        "one  changed: detect.py, detection.yml",
        "  2 alerts of 3 matches before, 2 alerts of 3 matches now (2.0 a day)",
        "  + 2026-01-01 12:04:00  high      carol was bad (1 match)",
        "  - 2026-01-01 12:03:00  info      bob was bad (1 match)",
        "  ~ 2026-01-01 12:01:00  high      alice was bad (2 matches)",
        "      severity: info -> high",
    ):
        assert line in text.splitlines(), text


def test_a_new_one_and_one_that_goes(ground: Playground, diff: Run) -> None:
    ground.detection("three")
    ground.remove("detections/two")
    said = told(diff)
    assert {name: one["kind"] for name, one in said.items()} == {"three": "new", "two": "removed"}
    assert (titles(said["three"]["added"]), titles(said["two"]["removed"])) == (["three"], ["two"])
    assert (said["three"]["before"], said["two"]["now"]) == (None, None)


def test_what_is_off_raises_nothing(ground: Playground, diff: Run) -> None:
    ground.detection("off", enabled=False)
    ground.commit()
    ground.detection("two", enabled=False)
    assert {name: one["kind"] for name, one in told(diff).items()} == {"two": "turned off"}
    repository = git.Repo(ground.repository)
    ground.commit()
    repository.git.branch("-f", "main")
    ground.detection("two")
    said = told(diff)
    assert {name: one["kind"] for name, one in said.items()} == {"two": "turned on"}
    assert titles(said["two"]["added"]) == ["two"]


def test_a_folder_that_moved_and_what_others_merged_are_no_difference(ground: Playground, diff: Run) -> None:
    repository = git.Repo(ground.repository)
    repository.git.checkout("-q", "main")
    ground.detection("theirs")
    ground.commit()
    repository.git.checkout("-q", "change")
    ground.move("detections/one", "detections/elsewhere")
    assert told(diff) == {}


def test_shared_code_makes_all_that_import_it_differ(ground: Playground, diff: Run) -> None:
    ground.write("lib/words.py", "def bad(text):\n    return text == 'bad'\n")
    code = "from lib.words import bad\n\ndef detect(record):\n    return bad(record.deepget('event.action'))\n"
    ground.detection("one", code)
    ground.commit()
    git.Repo(ground.repository).git.branch("-f", "main")
    ground.write("lib/words.py", "def bad(text):\n    return text == 'worse'\n")
    said = told(diff)
    assert (list(said), said["one"]["files"]) == (["one"], ["lib/words.py"])


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("def detect(record)\n", "not valid Python"),
        ("raise RuntimeError('not today')\ndef detect(record): return True\n", "not today"),
        ("def detect(record):\n    return 1 / 0\n", "it fails on 4 of the records"),
    ],
)
def test_a_version_that_does_not_run_needs_a_person(ground: Playground, diff: Run, code: str, complaint: str) -> None:
    ground.detection("one", code)
    said = diff()
    assert said.exit_code == 1
    assert complaint in said.stderr
    assert complaint in " ".join(told(diff)["one"]["trouble"])


def test_a_config_that_cannot_be_read_is_still_that_of_its_folder(ground: Playground, diff: Run) -> None:
    ground.write("detections/one/detection.yml", "name: [\n")
    said = told(diff)
    assert [(name, one["kind"]) for name, one in said.items()] == [("one", "changed")]
    assert "detections/one/detection.yml" in said["one"]["trouble"][0]
    ground.commit()
    git.Repo(ground.repository).git.branch("-f", "main")
    ground.detection("one", MATCH_BAD + NAMED)
    said = told(diff)
    assert [(name, one["kind"]) for name, one in said.items()] == [("one", "changed")]
    assert (said["one"]["trouble"], bool(said["one"]["trouble_before"])) == ([], True)


def test_a_broken_one_in_the_folder_of_one_that_moved_is_another(ground: Playground, diff: Run) -> None:
    ground.move("detections/one", "detections/elsewhere")
    ground.detection("three", "def detect(record)\n", folder="one")
    assert [(name, one["kind"], len(one["trouble"])) for name, one in told(diff).items()] == [("three", "new", 1)]


def test_what_cannot_be_built_takes_no_alerts_away(ground: Playground, diff: Run) -> None:
    ground.detection("one", "def detect(record)\n")
    assert told(diff)["one"]["removed"] == []
    assert diff("--fail-on", "removed").stderr.count("gate:") == 0


def test_a_version_that_fails_its_tests_needs_a_person(ground: Playground, diff: Run) -> None:
    ground.detection("two", tests=[{"name": "never", "records": [{"a": 1}], "match": True}])
    said = diff()
    assert (said.exit_code, "test 'never': expected a match, got no match" in said.stderr) == (1, True)


def test_what_was_broken_before_is_only_said(ground: Playground, diff: Run) -> None:
    ground.detection("one", "def detect(record)\n")
    ground.commit()
    git.Repo(ground.repository).git.branch("-f", "main")
    ground.detection("two", alert={"severity": "low"})
    assert list(told(diff)) == ["two"]  # broken, and was before
    ground.detection("one", MATCH_BAD + NAMED)
    said = diff()
    assert said.exit_code == 0
    assert "it was not well before: detections/one/detect.py:1" in said.stdout
    assert "  not run before, 2 alerts of 3 matches now (2.0 a day)" in said.stdout.splitlines()
    assert titles(told(diff)["one"]["added"]) == ["alice was bad", "bob was bad"]


def test_a_suppression_takes_away_what_it_would_silence(ground: Playground, diff: Run) -> None:
    entry = "{detection: one, fields: {user: bob}, owner: o, reason: r, expires: 2027-01-01}"
    ground.write("suppressions.yml", f"suppressions:\n  - {entry}\n")
    found = told(diff)
    assert set(found) == {"one"}
    assert (found["one"]["before"]["suppressed"], found["one"]["now"]["suppressed"]) == (0, 1)
    assert titles(found["one"]["removed"]) == ["bob was bad"]
    assert "one  changed: suppressions.yml" in diff().stdout.splitlines()
    assert diff("--fail-on", "removed").exit_code == 1


def test_settings_that_changed_hold_for_both_and_are_said(ground: Playground, diff: Run) -> None:
    ground.settings(schedule={"every": "10m"})
    ground.detection("one", f"{MATCH_BAD}{NAMED}  # changed\n")
    said = diff()
    assert "  no alert differs" in said.stdout.splitlines()
    assert "trapline.yml has changed too: both versions were run with the new one" in said.stdout


def test_only_those_that_are_named(ground: Playground, diff: Run) -> None:
    for name in ("one", "two"):
        ground.detection(name, f"{MATCH_BAD}  # {name} changed\n")
    assert list(told(diff, "two")) == ["two"]
    assert list(told(diff, "detections/one/detect.py")) == ["one"]
    ground.detection("two")
    assert told(diff, "two") == {}
    with pytest.raises(TraplineError) as caught:
        diff("tow")
    assert caught.value.message.startswith("there is no detection 'tow' in ")
    assert caught.value.remedy.startswith("did you mean `two`?")


def test_one_with_an_id_is_known_by_its_name_and_its_id(ground: Playground, diff: Run) -> None:
    ground.detection("one", MATCH_BAD + NAMED, id="7ad1600d")
    ground.commit()
    git.Repo(ground.repository).git.branch("-f", "main")
    assert told(diff, "one") == {}
    ground.detection("one", MATCH_BAD, id="7ad1600d")
    assert told(diff, "one") == told(diff, "7ad1600d") != {}


def test_the_root_may_be_a_folder_of_the_repository(
    ground: Playground, diff: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ground.repository / "security").mkdir()
    for name in ("trapline.yml", "detections"):
        ground.move(name, f"security/{name}")
    ground.commit()
    git.Repo(ground.repository).git.branch("-f", "main")
    monkeypatch.chdir(ground.repository / "security/detections/two")
    (ground.repository / "security/detections/two/detect.py").write_text(f"{MATCH_BAD}  # changed\n")
    (ground.repository / "security/detections/one/detect.py").write_text(f"{MATCH_BAD}  # changed\n")
    assert list(told(diff)) == ["two"]  # it is in that folder
    assert diff("--format", "markdown").stdout.startswith("<!-- trapline diff: security -->\n")


def test_gates_are_said_in_every_format(ground: Playground, diff: Run) -> None:
    ground.detection("one", f"{MATCH_BAD} and record.deepget('user') == 'bob'{NAMED}")
    gates = ("--fail-on", "removed", "--max-alerts-per-day", "0.5", "--max-bytes", "1GB")
    sentences = [
        "one raises 1.0 alerts a day, and 0.5 are the most (--max-alerts-per-day)",
        "one: 1 alert is removed (--fail-on removed)",
    ]
    for shape in ("text", "markdown"):
        said = diff(*gates, "--format", shape)
        assert said.exit_code == 1
        assert all(f"gate: {sentence}" in said.stderr for sentence in sentences)
    assert all(f"- `{sentence}`" in said.stdout for sentence in sentences)
    said = diff(*gates, "--format", "json")
    assert (said.exit_code, json.loads(said.stdout)["exceeded"]) == (1, sentences)


def test_more_than_may_be_read_is_not(ground: Playground, diff: Run) -> None:
    ground.detection("one", f"{MATCH_BAD}  # changed\n")
    said = diff("--max-bytes", "10")
    assert (said.exit_code, "--max-bytes" in said.stderr) == (1, True)
    assert json.loads(diff("--max-bytes", "10", "--json").stdout)["bytes_scanned"] == 0


def test_a_table_that_is_not_there_is_said(ground: Playground, diff: Run) -> None:
    ground.settings(tables={"logs": {"path": "nowhere"}})
    ground.detection("one", f"{MATCH_BAD}  # changed\n")
    said = diff()
    assert (said.exit_code, "logs" in said.stderr) == (1, True)


def test_nothing_of_the_home_is_changed(ground: Playground, diff: Run) -> None:
    ground.detection("one", f"{MATCH_BAD}  # changed\n")
    before = sorted(ground.home.rglob("*"))
    assert diff().exit_code == 0
    assert sorted(ground.home.rglob("*")) == before


def test_a_settings_file_that_cannot_be_used_is_told(ground: Playground, diff: Run) -> None:
    ground.write("trapline.yml", "tables: [\n")
    with pytest.raises(TraplineError) as caught:
        diff()
    assert "trapline.yml" in caught.value.message
