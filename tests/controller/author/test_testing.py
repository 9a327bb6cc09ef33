"""`trapline test`, as an author uses it: on a checkout, with rules that hold, fail, loop, print and do not load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from tests.playground import Playground
from trapline.cli import cli
from trapline.errors import TraplineError

CASES = [
    {"name": "a bad one", "match": True, "records": [{"event": {"action": "bad"}}], "expect": {"severity": "info"}},
    {"name": "a good one", "match": False, "records": [{"event": {"action": "good"}}]},
]
Run = Callable[..., Result]


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path / "ground")
    ground.detection("one", tests=CASES)
    return ground


@pytest.fixture
def run(ground: Playground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments: str, path: Path = ground.repository) -> Result:
        command = ["test", str(path), "--sandbox", "process", *arguments]
        return CliRunner().invoke(cli, command, catch_exceptions=False)

    return run


def test_what_holds_is_said_in_a_line(run: Run) -> None:
    said = run()
    assert said.exit_code == 0
    assert said.output.startswith("1 detection, 2 of 2 cases hold, in ")


def test_what_fails_is_said_with_its_place_and_what_was_printed(ground: Playground, run: Run) -> None:
    code = "def detect(record):\n    print('looked at', record['event'])\n    return False\n"
    ground.detection("one", code, tests=CASES)
    said = run()
    assert said.exit_code == 1
    config = (ground.repository / "detections/one/detection.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(config, 1) if "a bad one" in text)
    assert (
        f"FAILED detections/one/detection.yml:{line}: a bad one\n       expected a match, got no match\n" in said.stdout
    )
    assert "       | looked at Record({'action': 'bad'})" in said.stderr
    assert "1 of 2 cases hold" in said.stdout


def test_each_expectation_is_compared(ground: Playground, run: Run) -> None:
    ground.detection("one", tests=[{**CASES[0], "expect": {"title": "another"}}, CASES[1]])
    assert "expected title 'another', got 'one'" in run().stdout


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("while record: pass", "detect(): it took longer than 1 s, which is the limit for a record at detect.py:3"),
        ("raise KeyError('user')", "detect() raised KeyError: 'user' at detect.py:"),
        ("print('x' * 100_000_000); return True", "hold"),
        ("import os; os._exit(3)", "worker"),
    ],
)
def test_a_rule_that_misbehaves_fails_in_its_case_alone(
    ground: Playground, run: Run, code: str, complaint: str
) -> None:
    ground.settings(sandbox={"record_timeout": "1s"})
    body = f"    if record.deepget('event.action') == 'bad':\n        {code}\n    return False\n"
    ground.detection("one", f"def detect(record):\n{body}", tests=CASES)
    ground.detection("two", tests=CASES)
    said = run()
    assert complaint in said.stdout
    assert "2 detections, " in said.stdout
    assert "two" not in said.stdout.replace("FAILED", "").split("2 detections")[0]
    assert "Traceback" not in said.output


def test_a_detection_that_cannot_be_built_is_told_and_the_others_run(ground: Playground, run: Run) -> None:
    ground.detection("two", "raise RuntimeError('not today')\ndef detect(record): return True", tests=CASES)
    said = run()
    assert said.exit_code == 1
    assert "FAILED two: " in said.stdout
    assert "not today" in said.stdout
    assert "1 detection could not be run" in said.stdout


def test_a_detection_that_does_not_load_is_told_and_the_others_run(ground: Playground, run: Run) -> None:
    ground.write("detections/two/detection.yml", "name: two\ntables: logs\n")
    ground.write("detections/two/detect.py", "def detect(record): return True\n")
    said = run()
    assert said.exit_code == 1
    assert "detections/two/detection.yml:2" in said.stderr
    assert "1 detection, 2 of 2 cases hold" in said.stdout


def test_tests_that_show_one_side_alone_are_warned_about(ground: Playground, run: Run) -> None:
    ground.detection("one", tests=CASES[:1])
    ground.detection("two")
    said = run()
    assert said.exit_code == 0
    assert "one: no test shows what it leaves alone: add a case with `match: false`" in said.stderr
    assert "two: it has no tests" in said.stderr


def test_a_part_is_named_by_its_folder_or_by_words(ground: Playground, run: Run) -> None:
    ground.detection("two", tests=CASES)
    assert run(path=ground.repository / "detections/two").stdout.startswith("1 detection, 2 of 2")
    assert run(path=ground.repository / "detections/two/detect.py").stdout.startswith("1 detection, 2 of 2")
    assert run("--filter", "TWO a bad").stdout.startswith("1 detection, 1 of 1 case holds")


def test_programs_get_json(ground: Playground, run: Run) -> None:
    ground.detection("one", "def detect(record):\n    return True\n", tests=CASES)
    [one] = json.loads(run("--json").stdout)
    assert (one["detection"], one["path"], one["problem"]) == ("one", "detections/one", None)
    first, second = one["cases"]
    assert (first["name"], first["holds"]) == ("a bad one", True)
    assert (second["holds"], second["complaint"]) == (False, "expected no match, got a match")


def test_a_ci_gets_xml_whatever_is_printed(ground: Playground, run: Run) -> None:
    code = "def detect(record):\n    print('\\x00\\x1b[31m<&\\ufffe]]>')\n    return True\n"
    ground.detection("one", code, tests=CASES)
    ground.detection("two", "raise RuntimeError('not today')\ndef detect(record): return True", tests=CASES)
    root = ET.fromstring(run("--format", "junit").stdout)
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    [failure] = root.iter("failure")
    assert failure.get("message") == "expected no match, got a match"
    [error] = root.iter("error")
    assert "not today" in (error.get("message") or "")
    assert {element.get("file") for element in root.iter("testcase")} == {
        "detections/one/detection.yml",
        "detections/two/detection.yml",
    }


def test_what_was_built_is_built_once(ground: Playground, run: Run, tmp_path: Path) -> None:
    def builds() -> set[str]:
        return {path.name for path in tmp_path.glob("cache/trapline/*/builds/*")}

    run()
    first = builds()
    assert first
    run()
    assert builds() == first
    ground.detection("one", "def detect(record):\n    return record['event']['action'] == 'bad'\n", tests=CASES)
    run()
    assert builds()
    assert not builds() & first  # what nothing is any more is removed


def test_where_there_is_nothing_that_is_said(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TraplineError, match="there are no detections here"):
        run(path=empty)
