"""`trapline plan --base`: what a merge would do, from git alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import git
import pytest
from click.testing import CliRunner, Result

from tests.playground import MATCH_BAD, Playground
from trapline.cli import cli

Plan = Callable[..., Result]


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    for name in ("one", "two", "three", "off"):
        ground.detection(name, enabled=name != "off")
    ground.commit()
    git.Repo(ground.repository).git.checkout("-qb", "change")
    return ground


@pytest.fixture
def plan(ground: Playground, tmp_path: Path) -> Plan:
    """Runs it where no home has ever been."""

    def run(*arguments: str) -> Result:
        command = ["plan", "--base", "main", str(ground.repository), "--home", str(tmp_path / "none"), *arguments]
        return CliRunner().invoke(cli, command, catch_exceptions=False)

    return run


def test_where_nothing_changed_there_is_nothing_to_do(plan: Plan, tmp_path: Path) -> None:
    said = plan()
    assert (said.exit_code, "nothing to do; 4 unchanged" in said.stdout) == (0, True)
    assert not (tmp_path / "none").exists()


def test_each_kind_of_change_is_told(ground: Playground, plan: Plan) -> None:
    ground.detection("one", f"{MATCH_BAD}  # changed\n")
    ground.detection("two", alert={"severity": "high"})
    ground.detection("four")
    ground.remove("detections/three")
    ground.move("detections/off", "detections/elsewhere")
    said = plan()
    assert said.exit_code == 3
    for line in (
        r"what merging this \(from [0-9a-f]{12}\) would change:",
        r"~ rebuild +one: changed: detect.py",
        r"~ reconfigure +two: only its configuration changed",
        r"\+ create +four: not live yet",
        r"- retire +three: no longer in the repository",
        r"1 to create, 1 to rebuild, 1 to reconfigure, 1 to retire; 1 unchanged",
    ):
        assert re.search(line, said.stdout), said.stdout
    actions = {change["name"]: change["action"] for change in json.loads(plan("--json").stdout)["changes"]}
    assert actions == {
        "one": "rebuild",
        "two": "reconfigure",
        "four": "create",
        "three": "retire",
        "off": "nothing",
    }


def test_what_others_have_since_merged_is_not_shown(ground: Playground, plan: Plan) -> None:
    repository = git.Repo(ground.repository)
    repository.git.checkout("-q", "main")
    ground.detection("theirs")
    ground.commit()
    repository.git.checkout("-q", "change")
    assert plan().exit_code == 0


def test_what_cannot_be_deployed_is_held_and_its_last_version_stays(ground: Playground, plan: Plan) -> None:
    ground.detection("one", "def detect(record)\n")
    said = plan()
    assert said.exit_code == 1
    assert "! hold" in said.stderr
    assert "detections/one/detect.py:1" in said.stderr


def test_too_many_that_would_go_are_held(ground: Playground, plan: Plan) -> None:
    for name in ("one", "two"):
        ground.remove(f"detections/{name}")
    said = plan()
    assert said.exit_code == 1
    assert "--confirm-prune" in said.stderr
