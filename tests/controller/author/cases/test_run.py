"""`trapline test`, as an author uses it: on a checkout, with rules that hold, fail, loop, print and do not load."""

from __future__ import annotations

import json
import re
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
    failed = f"FAILED detections/one/detection.yml:{line}: a bad one\n"
    assert f"{failed}       line {line + 1}: expected a match, got no match\n" in said.stdout
    assert "       | looked at Record({'action': 'bad'})" in said.stderr
    assert "1 of 2 cases hold" in said.stdout


def test_each_expectation_is_compared(ground: Playground, run: Run) -> None:
    ground.detection("one", tests=[{**CASES[0], "expect": {"title": "another"}}, CASES[1]])
    config = (ground.repository / "detections/one/detection.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(config, 1) if "another" in text)
    assert f"       line {line}: expected title 'another', got 'one'\n" in run().stdout


def test_what_is_long_is_shown_as_a_difference(ground: Playground, run: Run) -> None:
    code = """
def detect(record): return True
def description(record): return "First line\\nSecond line\\nThird line"
def alert_context(record): return {"user": "mallory", "account": "1", "odd": "\\x1b[31m"}
"""
    expect = {"description": "First line\nAnother line\nThird line", "context": {"user": "alice", "account": "1"}}
    ground.detection("one", code, tests=[{**CASES[0], "expect": expect}])
    said = run().stdout
    assert (
        """: another description; - is expected, + is what came:
           First line
         - Another line
         + Second line
           Third line
"""
        in said
    )
    assert (
        """: another context; - is expected, + is what came:
           {
             "account": "1",
         -   "user": "alice"
         +   "odd": "\\u001b[31m",
         +   "user": "mallory"
           }
"""
        in said
    )


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        (
            "while record: pass",
            "\n       detect(): it took longer than 1 s, which is the limit for a record at detect.py:3",
        ),
        ("raise KeyError('user')", "\n       detect() raised KeyError: 'user' at detect.py:"),
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
    case = {"name": "by its alerts", "records": CASES[0]["records"]}
    ground.detection("three", tests=[{**case, "alerts": [{}]}])
    both = [{**case, "repeat": 2, "alerts": [{}]}, {**case, "alerts": []}]
    ground.detection("four", alert={"threshold": 2}, tests=both)
    said = run()
    assert said.exit_code == 0
    assert "three: no test shows what it leaves alone" in said.stderr
    assert "four" not in said.stderr
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
    [complaint] = second["complaints"]
    assert complaint["line"] > second["line"]
    assert (complaint["expected"], complaint["got"]) == (0, 1)
    assert "coverage" not in one


def test_a_ci_gets_xml_whatever_is_printed(ground: Playground, run: Run) -> None:
    code = "def detect(record):\n    print('\\x00\\x1b[31m<&\\ufffe]]>')\n    return True\n"
    ground.detection("one", code, tests=CASES)
    ground.detection("two", "raise RuntimeError('not today')\ndef detect(record): return True", tests=CASES)
    root = ET.fromstring(run("--format", "junit").stdout)
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    [failure] = root.iter("failure")
    assert failure.get("message") == "expected no match, got a match"
    [case] = (element for element in root.iter("testcase") if element.find("failure") is not None)
    assert int(case.get("line") or 0) > 1
    assert float(case.get("time") or "") > 0
    first, _ = root.iter("testsuite")
    properties = {one.get("name"): one.get("value") for one in first.iter("property")}
    assert properties.items() >= {"path": "detections/one", "mode": "record", "severity": "info"}.items()
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


def test_the_example_of_the_page_holds_and_fails_as_it_says(ground: Playground, run: Run) -> None:
    page = (Path(__file__).parents[4] / "docs/how-to/begin-and-test-a-detection.md").read_text()
    alert, cases = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    [script] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    head = f"name: odd_login\nenabled: true\ntables: [logs]\n{alert}"
    ground.write("lib/geo.py", "def country(ip):\n    raise ConnectionError\n")
    ground.write("detections/odd_login/detect.py", script)
    ground.write("detections/odd_login/detection.yml", f"{head}\n{cases}")
    said = run(path=ground.repository / "detections/odd_login")
    assert (said.exit_code, said.stderr) == (0, "")
    assert "1 detection, 4 of 4 cases hold" in said.stdout
    ground.write("detections/odd_login/detection.yml", f"{head}\n{cases}".replace("threshold: 5", "threshold: 6"))
    failed = page[page.index("FAILED detections/odd_login/detection.yml:9") :].partition("```")[0]
    assert failed in run(path=ground.repository / "detections/odd_login").stdout


def test_where_there_is_nothing_that_is_said(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TraplineError, match="there are no detections here"):
        run(path=empty)


def test_those_that_failed_last_come_first_or_alone(ground: Playground, run: Run) -> None:
    wrong = {**CASES[1], "name": "a wrong one", "match": True}
    ground.detection("three", tests=[*CASES, wrong])
    ground.detection("two", "raise RuntimeError('not today')\ndef detect(record): return True", tests=CASES)

    def order(*arguments: str) -> list[str]:
        told = json.loads(run("--json", *arguments).stdout)
        return [f"{one['detection']} {case['name']}" for one in told for case in one["cases"] or [{"name": "-"}]]

    whole = ["one a bad one", "one a good one", "three a bad one", "three a good one", "three a wrong one", "two -"]
    assert order("--failed-first") == whole
    turned = ["three a wrong one", "three a bad one", "three a good one", "two -", "one a bad one", "one a good one"]
    assert order("--failed-first") == turned
    assert order() == whole
    assert order("--failed") == ["three a wrong one", "two -"]
    ground.detection("three", tests=CASES)
    assert order("--filter", "one a") == ["one a bad one", "one a good one"]  # which says nothing of the others
    ground.detection("two", tests=CASES)
    assert order("--failed") == ["two a bad one", "two a good one"]
    assert run("--failed").stdout == "no case failed when it last ran\n"


def test_what_failed_last_may_be_lost(ground: Playground, run: Run, tmp_path: Path) -> None:
    run()
    [kept] = tmp_path.glob("cache/trapline/*/failed.json")
    for text in ("", "{", "[1]", '[["one"]]', "[[[], {}]]"):
        kept.write_text(text)
        assert run("--failed-first").exit_code == 0


HALF = """import helper

def detect(record):
    if record.deepget("event.action") == "bad":
        return True
    if record.deepget("event.action") == "ugly":
        return helper.weigh(record)
    return False
"""


@pytest.fixture
def half_covered(ground: Playground) -> None:
    ground.detection("one", HALF, tests=CASES)
    ground.write("detections/one/helper.py", "from lib.scale import SCALE\ndef weigh(record):\n    return SCALE\n")
    ground.write("lib/scale.py", "SCALE = 1\ndef other():\n    return 2\n")
    ground.detection("two", tests=CASES)


@pytest.mark.usefixtures("half_covered")
def test_the_lines_that_no_case_runs_are_told(run: Run) -> None:
    said = run("--coverage")
    assert said.exit_code == 0
    assert [line.split() for line in said.stdout.splitlines()][:3] == [
        ["file", "lines", "run", "missing"],
        ["detections/one/detect.py", "7", "85%", "7"],
        ["detections/one/helper.py", "3", "66%", "3"],
    ]
    assert "coverage: 83% of 12 lines; 1 of 3 files run whole\n" in said.stdout
    one, two = json.loads(run("--coverage", "--json").stdout)
    assert one["coverage"] == {
        "percent": 80.0,
        "files": [
            {"path": "detections/one/detect.py", "lines": 7, "percent": 85.7, "missing": [7]},
            {"path": "detections/one/helper.py", "lines": 3, "percent": 66.7, "missing": [3]},
        ],
    }
    assert two["coverage"]["percent"] == 100.0
    xml = ET.fromstring(run("--coverage", "--format", "junit").stdout)
    assert [one.get("value") for one in xml.iter("property") if one.get("name") == "coverage"] == ["80.0", "100.0"]


@pytest.mark.usefixtures("half_covered")
def test_too_little_coverage_fails(run: Run) -> None:
    said = run("--min-coverage", "80.5")
    assert said.exit_code == 1
    assert "one: its cases run 80% of its lines, and 80.5% are asked for\n" in said.stderr
    assert "two" not in said.stderr
    assert run("--min-coverage", "80").exit_code == 0
    assert run("--min-coverage", "101").exit_code == 2


def test_lines_that_ran_before_a_worker_died_count(ground: Playground, run: Run) -> None:
    code = """
import os

def detect(record):
    if record["event"]["action"] == "bad":
        return True
    os._exit(1)
"""
    ground.detection("one", code, tests=[*CASES, {**CASES[0], "name": "another"}])
    [one] = json.loads(run("--coverage", "--json").stdout)
    assert [case["holds"] for case in one["cases"]] == [True, False, True]
    assert one["coverage"]["files"][0]["missing"] == [7]
