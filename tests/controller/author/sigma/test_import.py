"""`trapline import sigma`: what is written is taken by `validate` and `test`, and what is there is left as it is."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.controller.author.sigma.ground import rule
from trapline.cli import cli
from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import paths
from trapline.errors import TraplineError

ID = "0b51f7a4-7b0f-4a5c-9d0e-2f4c1c7a3b11"
TRAIL = {
    "selection": {
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "PutInsightSelectors"],
    },
    "selection_named": {"requestParameters.name|contains": ["prod", "main"], "userAgent": "aws-cli/*boto?/*"},
    "filter": [{"userIdentity.arn|endswith": ":user/platform"}, {"errorCode": None, "readOnly": False}],
    "condition": "all of selection* and not filter",
}
WORDS = {
    "id": ID,
    "status": "test",
    "description": "A trail was stopped by somebody who is not of the platform team.\nIt is watched since then.",
    "author": "A. Author,\n B. Author",
    "license": "MIT",
    "references": ["https://example.com/one", "https://example.com/two"],
    "date": "2024-02-03",
    "modified": "2025/1/2",
    "tags": ["attack.defense-evasion", "attack.persistence", "attack.t1562.008", "attack.g0016", "cve.2024-1234"],
    "falsepositives": ["The platform team"],
    "fields": ["eventName", "requestParameters.name"],
    "level": "high",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *rules: str) -> Path:
        file = tmp_path / "rules" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("---\n".join(rules))
        return file

    return write


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "repository" / "detections"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["import", "sigma", *map(str, arguments)], catch_exceptions=False)


def config(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((folder / "detection.yml").read_text())
    return data


def test_what_is_written_is_taken_and_its_tests_hold(write: Callable[..., Path], into: Path) -> None:
    write("trail.yml", rule(TRAIL, **WORDS))
    write("login.yml", rule({"s": {"additionalEventData.MFAUsed|re": "^N"}, "condition": "s"}))
    write("many.yml", rule({"s": {"resources.ARN|cidr": "10.0.0.0/8", "requestParameters.n|gt": 4}, "condition": "s"}))
    said = run(into.parent.parent / "rules", "--into", into)
    assert said.exit_code == 0
    assert "login (without tests: no record could be made up)" in said.stdout
    assert said.stdout.endswith("3 rules converted; then: trapline validate, trapline test\n")
    checked = CliRunner().invoke(cli, ["validate", str(into.parent)])
    assert checked.output == "3 detections, 0 errors, 0 warnings\n"
    tested = CliRunner().invoke(cli, ["test", str(into.parent)])
    assert tested.exit_code == 0, tested.output
    assert "4 of 4 cases hold" in tested.output


def test_the_script_reads_as_if_it_were_written_by_hand(write: Callable[..., Path], into: Path) -> None:
    run(write("trail.yml", rule(TRAIL)), "--into", into)
    script = (into / "trail" / "detect.py").read_text()
    assert (
        "\n\n\n".join(script.split("\n\n\n")[:3])
        == """\
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase

SELECTION_EVENT_NAME = (
    "stoplogging",
    "deletetrail",
    "updatetrail",
    "puteventselectors",
    "putinsightselectors",
)


def detect(record):
    return selection(record) and selection_named(record) and not filter_(record)


def selection(record):
    return (
        record.deepget("event.provider", "").lower() == "cloudtrail.amazonaws.com"
        and record.deepget("event.action", "").lower() in SELECTION_EVENT_NAME
    )"""
    )


def test_a_formatter_and_a_linter_have_nothing_to_say(write: Callable[..., Path], into: Path) -> None:
    detection = {
        "one": {"eventName": "A", "readOnly": True, "requestParameters.name|endswith": ["x", "y"], "awsRegion": None},
        "two": {"eventName|neq": [f"Call{n}" for n in range(9)], "errorCode": [None, "", "C*d?"]},
        "three": {"userAgent|contains|all": ["quote \"'", 'double "', "back\\slash", "tab\t", "\u00e9\u200b"]},
        "four": [{"eventName": "A", "userIdentity.arn|endswith": f":user/{name * 20}"} for name in "ab"],
        "six": {"userIdentity.sessionContext.sessionIssuer.arn|fieldref": "requestParameters.roleArn.ofTheTarget"},
        "seven": {"userIdentity.arn|re": ".*:assumed-role/(Admin|Ops)-[0-9]{1,3}/.*"},
        "five": {"eventName|neq": ["A", "B"], "userIdentity.arn|endswith|all": [":user/a", "a" * 30, "r/a"]},
        "condition": f"{'(one or not (two and three)) and ' * 9} not (one and two) and four and five and six and seven",
    }
    write("trail.yml", rule(TRAIL))
    write("rule.yml", rule(detection))
    run(into.parent.parent / "rules", "--into", into)
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    assert ruff
    for command in (["format", "--diff"], ["check", "--select", "E4,E7,E9,F,I,SIM,W"]):
        command = [ruff, *command, "--isolated", "--line-length", "120", str(into)]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout


def test_the_words_of_a_rule_are_those_of_the_detection(write: Callable[..., Path], into: Path) -> None:
    assert run(write("trail.yml", rule(TRAIL, **WORDS)), "--into", into).exit_code == 0
    text = (into / "trail" / "detection.yml").read_text()
    assert text.startswith(
        f"# Made from the Sigma rule {ID} by `trapline import sigma`.\n"
        "# Author: A. Author, B. Author\n# License: MIT\n# Status: test\n"
    )
    data = config(into / "trail")
    del data["tests"]
    assert data == {
        "id": ID,
        "name": "trail",
        "display_name": "A rule of the tests",
        "description": WORDS["description"],
        "enabled": True,
        "created": "2024/02/03",
        "modified": "2025/01/02",
        "references": ["https://example.com/one", "https://example.com/two"],
        "false_positives": ["The platform team"],
        "reports": {"attack": ["ta0005:t1562.008", "ta0003"]},
        "alert": {"severity": "high"},
        "tables": ["aws_cloudtrail"],
        "tags": ["attack.g0016", "cve.2024-1234"],
    }
    assert '"requestParameters.name": request_parameters(record, "name")' in (into / "trail" / "detect.py").read_text()


@pytest.mark.parametrize(
    ("status", "enabled"),
    [("stable", True), ("test", True), ("experimental", False), ("deprecated", False), ("unsupported", False)],
)
def test_only_what_is_no_experiment_runs_at_once(
    write: Callable[..., Path], into: Path, status: str, enabled: bool
) -> None:
    said = run(write("trail.yml", rule(TRAIL, status=status)), "--into", into).stdout
    assert config(into / "trail")["enabled"] is enabled
    assert ("not enabled" in said) is not enabled


@pytest.mark.parametrize(
    ("level", "severity"),
    [("informational", "info"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("critical", "critical")],
)
def test_levels_are_severities(write: Callable[..., Path], into: Path, level: str, severity: str) -> None:
    run(write("trail.yml", rule(TRAIL, level=level)), "--into", into)
    assert config(into / "trail")["alert"] == {"severity": severity}


def test_a_technique_that_no_list_has_stays_a_tag(write: Callable[..., Path], into: Path) -> None:
    said = run(write("trail.yml", rule(TRAIL, tags=["attack.t9999", "attack.t1078"])), "--into", into)
    assert said.exit_code == 0
    assert "T9999 is no technique of ATT&CK" in said.stderr
    assert config(into / "trail")["tags"] == ["attack.t9999"]
    assert config(into / "trail")["reports"] == {"attack": ["t1078"]}


def test_words_of_a_rule_never_leave_their_place(write: Callable[..., Path], into: Path) -> None:
    hostile = "x\nenabled: false\u2028y\x85\x1b[31m'''\"\"\"\\"
    detection = {
        "a b": {"eventName": [hostile, "z"], f"requestParameters.{hostile.replace('[', '')}": hostile},
        "condition": "1 of them",
    }
    run(
        write("trail.yml", rule(detection, author=hostile, title=hostile, license=hostile, status="test")),
        "--into",
        into,
    )
    data = config(into / "trail")
    assert data["enabled"] is True
    assert data["display_name"].startswith("x enabled: false y")
    names: dict[str, Any] = {}
    exec(compile((into / "trail" / "detect.py").read_text(), "detect.py", "exec"), names)
    assert {name for name in names if not name.startswith("__")} == {
        "Mapping",
        "json",
        "detect",
        "parsed",
        "texts",
        "request_parameters",
    }


def test_a_rule_is_narrowed_to_what_it_names(write: Callable[..., Path], into: Path) -> None:
    run(write("trail.yml", rule(TRAIL)), "--into", into)
    predicate = infer((into / "trail" / "detect.py").read_bytes()).predicate
    assert {("event", "provider"), ("event", "action")} <= paths(predicate)
    explained = CliRunner().invoke(cli, ["explain", "trail", "--path", str(into.parent)], terminal_width=200)
    assert 'event.action.lower() in ("stoplogging", "deletetrail"' in explained.stdout


def test_nothing_is_overwritten_unless_it_is_said(write: Callable[..., Path], into: Path) -> None:
    file = write("trail.yml", rule(TRAIL, **WORDS))
    run(file, "--into", into)
    script = into / "trail" / "detect.py"
    script.write_text("changed by hand")
    said = run(file, "--into", into)
    assert said.exit_code == 1
    assert "nothing is overwritten [duplicate-name]" in said.stderr
    assert said.stdout == "0 rules converted, 1 not\n"
    assert script.read_text() == "changed by hand"
    assert run(file, "--into", into, "--force").exit_code == 0
    assert script.read_text() != "changed by hand"


def test_a_rule_is_the_detection_of_the_same_id(write: Callable[..., Path], into: Path) -> None:
    run(write("trail.yml", rule(TRAIL, **WORDS)), "--into", into)
    (into / "trail").rename(into / "our_trail")
    file = write("trail.yml", rule({**TRAIL, "condition": "selection"}, **WORDS))
    assert run(file, "--into", into).exit_code == 1
    assert run(file, "--into", into, "--force").exit_code == 0
    assert [folder.name for folder in into.iterdir()] == ["our_trail"]
    assert config(into / "our_trail")["name"] == "our_trail"


def test_what_cannot_be_converted_is_listed_and_the_rest_is_written(write: Callable[..., Path], into: Path) -> None:
    file = write(
        "several.yml",
        rule(TRAIL, title="A trail is stopped"),
        rule({"k": ["word"], "condition": "k"}),
        rule(TRAIL, title="A trail, is stopped!"),
        rule(TRAIL, title="\u4f60\u597d", id=ID),
    )
    said = run(file, "--into", into, "--table", "trails", "--json")
    assert said.exit_code == 1
    told = json.loads(said.stdout)
    assert [(one["name"], one["id"]) for one in told["detections"]] == [
        ("a_trail_is_stopped", None),
        ("sigma_0b51f7a4", ID),
    ]
    assert [(one["code"], one["line"]) for one in told["problems"]] == [("sigma-keywords", 30), ("duplicate-name", 34)]
    assert config(into / "a_trail_is_stopped")["tables"] == ["trails"]


def test_two_rules_of_one_id(write: Callable[..., Path], into: Path) -> None:
    write("one.yml", rule(TRAIL, id=ID))
    write("two.yml", rule(TRAIL, id=ID.upper()))
    said = run(into.parent.parent / "rules", "--into", into, "--force")
    assert said.exit_code == 1
    assert "another rule is `one` already" in said.stderr
    assert [folder.name for folder in into.iterdir()] == ["one"]


def test_an_empty_id_is_none(write: Callable[..., Path], into: Path) -> None:
    write("one.yml", rule(TRAIL, id=None))
    write("two.yml", rule(TRAIL, id=None))
    assert run(into.parent.parent / "rules", "--into", into).exit_code == 0
    assert "id" not in config(into / "two")


def test_where_nothing_can_be_written(write: Callable[..., Path], into: Path) -> None:
    into.mkdir(parents=True)
    (into / "trail").write_text("a file")
    with pytest.raises(TraplineError, match="trail cannot be written"):
        run(write("trail.yml", rule(TRAIL)), "--into", into, "--force")


def test_without_pysigma(write: Callable[..., Path], into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.delitem(sys.modules, "trapline.cli.import_", raising=False)
    with pytest.raises(TraplineError, match="pySigma is not installed") as error:
        run(write("trail.yml", rule(TRAIL)), "--into", into)
    assert error.value.remedy == "pip install 'trapline[sigma]'"
