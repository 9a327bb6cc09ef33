"""`trapline registry check` as the author of a pack runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.controller.author.registry.packs import CONFIG, SCRIPT, Pack
from trapline.cli import cli

ROOT = Path(__file__).parents[4]
DETECTION = "detections/bad_action/detection.yml"
TITLE = 'def title(record):\n    return record.get("action") or "nothing"\n'


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return Pack(tmp_path / "pack")


def check(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["registry", "check", str(path), *arguments], catch_exceptions=False)


def said(path: Path) -> list[str]:
    """Each problem as `file:line: severity: code`."""
    result = check(path, "--no-tests", "--json")
    found = json.loads(result.stdout)["problems"]
    assert result.exit_code == (1 if any(one["severity"] == "error" for one in found) else 0)
    assert all(one["remedy"] or one["code"] == "unused-import" for one in found)
    return [f"{one['path']}:{one['line']}: {one['severity']}: {one['code']}" for one in found]


def test_what_is_fit_to_be_shared_passes(pack: Pack) -> None:
    result = check(pack.root, "--sandbox", "process")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "mine is fit to be shared: 1 detection, 0 errors, 0 warnings\n"


def test_ours_is_fit_to_be_shared() -> None:
    assert said(ROOT) == []


@pytest.mark.parametrize(
    ("key", "severity", "code"),
    [
        ("display_name", "error", "no-display-name"),
        ("description", "error", "no-description"),
        ("runbook", "error", "no-runbook"),
        ("reports", "error", "no-attack"),
        ("alert", "error", "no-severity"),
        ("references", "warning", "no-references"),
        ("false_positives", "warning", "no-false-positives"),
        ("tests", "error", "one-sided-tests"),
    ],
)
def test_what_a_config_does_not_say(pack: Pack, key: str, severity: str, code: str) -> None:
    pack.detection(**{key: None})
    assert said(pack.root) == [f"{DETECTION}:0: {severity}: {code}"]


@pytest.mark.parametrize("function", ["description", "runbook", "severity"])
def test_a_function_may_say_it_instead(pack: Pack, function: str) -> None:
    key = "alert" if function == "severity" else function
    cases = [{**CONFIG["tests"][0], "expect": {"severity": "low"}}, CONFIG["tests"][1]]
    script = f'{SCRIPT}\n\ndef {function}(record):\n    return record.get("kind") or "low"\n'
    pack.detection(script, **{key: None}, tests=cases)
    assert said(pack.root) == []


def test_a_blank_text_says_nothing(pack: Pack) -> None:
    pack.detection(runbook="  \n")
    assert said(pack.root) == [f"{DETECTION}:4: error: no-runbook"]


@pytest.mark.parametrize("verdict", [True, False])
def test_tests_show_both_what_it_finds_and_what_it_leaves(pack: Pack, verdict: bool) -> None:
    pack.detection(tests=[case for case in CONFIG["tests"] if case["match"] is verdict])
    [one] = said(pack.root)
    assert one.endswith("error: one-sided-tests")


def test_what_a_function_answers_is_to_be_tested(pack: Pack) -> None:
    pack.detection(f"{SCRIPT}\n\n{TITLE}")
    assert [one.partition(" ")[2] for one in said(pack.root)] == ["warning: untested-function"]
    pack.detection(
        f"{SCRIPT}\n\n{TITLE}", tests=[{**CONFIG["tests"][0], "expect": {"title": "bad"}}, CONFIG["tests"][1]]
    )
    assert said(pack.root) == []


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"reports": {"attack": ["t9999"]}}, ["unknown-attack-id"]),
        ({"reports": {"attack": ["brute force"]}}, ["attack-format"]),
        ({"reports": {"attack": ["t1086"]}}, ["retired-attack-id"]),
        ({"alert": {"severity": "low", "destinations": ["soc"]}}, ["names-destinations"]),
        ({"schedule": {"every": "1h", "start": "2020-01-01T00:00:00Z"}}, ["schedule-start"]),
        ({"allow_source_builds": True}, ["source-builds"]),
    ],
)
def test_what_a_pack_must_not_say(pack: Pack, changes: dict[str, Any], codes: list[str]) -> None:
    pack.detection(**changes)
    found = said(pack.root)
    assert [one.partition(" error: ")[2] for one in found] == codes
    assert not any(f"{DETECTION}:0:" in one for one in found)


def test_a_function_names_destinations(pack: Pack) -> None:
    pack.detection(f'{SCRIPT}\n\ndef destinations(record):\n    return [record.get("team")]\n')
    assert said(pack.root) == [f"{DETECTION}:0: error: names-destinations"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("import socket", True),
        ("import http.client as web", True),
        ("from urllib import request", True),
        ("from urllib.request import urlopen", True),
        ("import urllib.parse", False),
        ("import boto3.session", True),
        ('net = __import__("requests")', True),
        ('import importlib\n\nnet = importlib.import_module("httpx")', True),
        ("import socketserver_of_mine", False),
        ("from http import HTTPStatus", False),
    ],
)
def test_code_that_wants_a_network(pack: Pack, line: str, error: bool) -> None:
    pack.detection(f"import lib.helper\n\nUSED = lib.helper\n\n\n{SCRIPT}")
    pack.write("lib/helper.py", f"{line}\n")
    found = [one for one in said(pack.root) if "needs-network" in one]
    number = 3 if line.startswith("import importlib") else 1
    assert found == ([f"lib/helper.py:{number}: error: needs-network"] if error else [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("defusedxml==0.7.1\n", []),
        ("# a comment\ndefusedxml\n", ["2: error: unpinned-requirement"]),
        ("defusedxml>=0.7\n", ["1: error: unpinned-requirement"]),
        ("defusedxml==0.*\n", ["1: error: unpinned-requirement"]),
        ("Requests==2.32.3\n", ["1: error: needs-network"]),
        ("slack_sdk==3.33.0\n", ["1: error: needs-network"]),
        ("--index-url=https://example.org\n", ["1: error: requirement"]),
    ],
)
def test_requirements_are_pinned_and_need_no_network(pack: Pack, text: str, found: list[str]) -> None:
    pack.write("detections/bad_action/requirements.txt", text)
    assert said(pack.root) == [f"detections/bad_action/requirements.txt:{one}" for one in found]


def test_a_lock_pins_as_well(pack: Pack) -> None:
    pack.write("detections/bad_action/requirements.txt", "defusedxml\n")
    pack.write("detections/bad_action/requirements.lock", f"defusedxml==0.7.1 --hash=sha256:{'0' * 64}\n")
    assert said(pack.root) == []


def test_what_is_wrong_with_the_pack_itself(pack: Pack) -> None:
    (pack.root / "LICENSE").unlink()
    pack.manifest(tables={"lgs": "x"})
    assert said(pack.root) == [
        "LICENSE:0: error: no-license-file",
        "pack.yml:5: warning: undescribed-table",
        "pack.yml:6: warning: unread-table",
    ]
    (pack.root / "pack.yml").unlink()
    assert "pack.yml:0: error: no-manifest" in said(pack.root)


def test_what_validate_says_counts(pack: Pack) -> None:
    pack.write("detections/twin/detect.py", SCRIPT)
    pack.write("detections/twin/detection.yml", (pack.root / DETECTION).read_text())
    assert {one.rpartition(" ")[2] for one in said(pack.root)} >= {"duplicate-name"}


def test_a_test_that_fails_is_a_failure_of_the_pack(pack: Pack) -> None:
    pack.detection(SCRIPT.replace('== "bad"', '== "worse"'))
    result = check(pack.root, "--sandbox", "process")
    assert result.exit_code == 1
    assert "FAILED bad_action: bad: " in result.stderr
    assert result.stdout == (
        "mine is not fit to be shared yet: 1 detection, 0 errors, 0 warnings, 1 failure of tests\n"
    )
    plain = json.loads(check(pack.root, "--sandbox", "process", "--json").stdout)
    assert [one["detection"] for one in plain["failed"]] == ["bad_action"]
    assert check(pack.root, "--no-tests").exit_code == 0
