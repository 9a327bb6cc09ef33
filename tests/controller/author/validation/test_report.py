"""Problems as others show them: whatever they say, a line is a line and a place is the place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner, Result

from tests.playground import Playground
from trapline.author.validation.report import github, gitlab, sarif
from trapline.cli import cli
from trapline.errors import Problem

PROBLEM = Problem(
    "detections/a b/detect.py", 3, "error", "undefined-name", "`x` is 100% undefined", "did you\nmean `y`?", 7
)
WHOLE = Problem("trapline.yml", 0, "warning", "no-settings", "there is none")


def test_an_annotation_is_one_line_at_its_place() -> None:
    assert github([PROBLEM, WHOLE]) == [
        "::error file=detections/a b/detect.py,line=3,col=7,title=undefined-name::"
        "`x` is 100%25 undefined%0Adid you%0Amean `y`?",
        "::warning file=trapline.yml,title=no-settings::there is none",
    ]


def test_a_name_does_not_end_its_property() -> None:
    [line] = github([Problem("a,b:c%d\n::error::x", 0, "error", "code", "m")])
    assert line == "::error file=a%2Cb%3Ac%25d%0A%3A%3Aerror%3A%3Ax,title=code::m"


def test_a_log_has_each_problem_at_its_place() -> None:
    log = sarif([PROBLEM, WHOLE])
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["no-settings", "undefined-name"]
    assert rules[0]["help"]["text"].startswith("The repository has no trapline.yml at its root")
    first, second = run["results"]
    assert (first["ruleId"], first["ruleIndex"], first["level"]) == ("undefined-name", 1, "error")
    assert first["message"]["text"] == "`x` is 100% undefined\ndid you\nmean `y`?"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "detections/a%20b/detect.py"},
        "region": {"startLine": 3, "startColumn": 7},
    }
    assert second["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}
    json.dumps(log)


def test_a_report_of_code_quality_knows_a_problem_again_where_it_has_moved() -> None:
    moved = replace(PROBLEM, line=30)
    first, second, third = gitlab([PROBLEM, moved, WHOLE])
    assert first["location"] == {"path": "detections/a b/detect.py", "lines": {"begin": 3}}
    assert (first["severity"], third["severity"]) == ("major", "minor")
    assert first["description"] == "`x` is 100% undefined did you mean `y`?"
    assert third["location"]["lines"] == {"begin": 1}
    assert len({one["fingerprint"] for one in (first, second, third)}) == 3
    assert gitlab([moved])[0]["fingerprint"] == first["fingerprint"]


def validated(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["validate", str(path), *arguments], catch_exceptions=False)


def test_the_command_says_it_in_each_of_them(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.detection("one", "def detect(record): return undefined_name")
    line = "::error file=detections/one/detect.py,line="
    said = validated(ground.repository, "--format", "github")
    assert said.exit_code == 1
    assert any(one.startswith(line) for one in said.stdout.splitlines())
    log = json.loads(validated(ground.repository, "--format", "sarif").stdout)
    assert {result["ruleId"] for result in log["runs"][0]["results"]} >= {"undefined-name"}
    quality = json.loads(validated(ground.repository, "--format", "gitlab").stdout)
    assert {"undefined-name"} <= {one["check_name"] for one in quality}
    for arguments in (("--format", "json"), ("--json",)):
        assert json.loads(validated(ground.repository, *arguments).stdout)["detections"] == 1


def test_places_begin_where_the_checkout_does(tmp_path: Path) -> None:
    """Detections may be a folder of a larger repository; those who annotate a change know only its root."""
    ground = Playground(tmp_path)
    ground.write("security/trapline.yml", "tabels: {}\n")
    ground.write("security/detections/one/detection.yml", "name: one\n")
    ground.write("security/detections/one/detect.py", "def detect(record): return True\n")
    said = validated(ground.repository / "security", "--format", "github").stdout
    assert "file=security/detections/one/detection.yml" in said
    assert "file=security/trapline.yml,line=1" in said
