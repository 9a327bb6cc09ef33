"""`trapline failures`, and what `status` and `resume` say of a quarantined detection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.playground import Playground
from trapline.cli import cli

RAISES = "def detect(record):\n    print('looking')\n    return record['event']['size'] > 10\n"
MENDED = "def detect(record):\n    return (record['event']['size'] or 11) > 10\n"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """A home in which the detection `sizes` has failed on one record, and matched another."""
    ground = Playground(tmp_path)
    ground.detection("sizes", RAISES)
    ground.detection("other")
    ground.records(1, event={"size": None, "note": "\x1b[31mred"})
    ground.records(2, event={"size": 11})
    step(ground, minutes=5)
    return ground


def step(ground: Playground, *, minutes: float) -> None:
    ground.commit()
    ground.at(minutes)
    with ground.controller() as controller:
        controller.reconcile()
        controller.tick()


def run(ground: Playground, *arguments: str) -> Result:
    command = [*arguments, "--home", str(ground.home)]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def listed(ground: Playground, *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run(ground, "failures", "list", *arguments, "--json").output)
    return rows


def test_a_failure_is_listed_and_shown_with_its_record(ground: Playground) -> None:
    text = run(ground, "failures", "list").output
    assert "sizes" in text
    assert "detect.py:3" in text
    assert "TypeError" in text
    [row] = listed(ground, "sizes")
    assert listed(ground, "other") == []
    for name in (row["id"][:12], "sizes"):
        shown = run(ground, "failures", "show", name).output
        assert "TypeError" in shown
        assert '"size": null' in shown
        assert "\x1b" not in shown
    assert json.loads(run(ground, "failures", "show", "sizes", "--json").output)["id"] == row["id"]


def test_what_is_not_there_is_said(ground: Playground) -> None:
    for arguments in (("list", "sices"), ("show", "ffff"), ("show", "other")):
        with pytest.raises(Exception, match=r"sices|no failure"):
            run(ground, "failures", *arguments)


def test_a_replay_by_hand(ground: Playground) -> None:
    result = run(ground, "failures", "replay", "sizes", "--sandbox", "process")
    assert (result.exit_code, result.output) == (
        1,
        "sizes got through 0 of 1 failure: 0 matches, 0 alerts opened, 0 updated\n",
    )
    ground.detection("sizes", MENDED)
    ground.commit()
    with ground.controller() as controller:
        controller.reconcile()
    result = run(ground, "failures", "replay", "sizes", "--sandbox", "process", "--json")
    assert json.loads(result.output) == {"detection": "sizes", "tried": 1, "settled": 1, "matches": 1, "error": None}
    assert result.exit_code == 0
    assert listed(ground) == []
    [row] = listed(ground, "--all")
    assert row["settled_at"]
    result = run(ground, "failures", "replay", "sizes", "--sandbox", "process")
    assert (result.exit_code, result.output.split(":")[0]) == (0, "sizes got through 0 of 0 failures")


def test_prints_are_in_the_log(ground: Playground) -> None:
    assert "looking" in run(ground, "logs", "sizes").output


def test_the_status_of_a_quarantined_detection_and_its_return(ground: Playground) -> None:
    ground.settings(error_budget={"failures": 0})
    ground.records(6, event={"size": None})
    step(ground, minutes=10)
    rows = json.loads(run(ground, "status", "--json").output)
    status = {row["name"]: row for row in rows["detections"]}
    assert rows["sandbox"] == "process"
    assert (status["sizes"]["health"], status["sizes"]["sync"]) == ("quarantined", "synced")
    assert "error budget of 0" in status["sizes"]["health_message"]
    assert status["other"]["health"] == "healthy"
    text = run(ground, "status", "sizes").output
    assert "over-its-error-budget" in text
    result = run(ground, "resume", "sizes", "--sandbox", "process", "--repository", str(ground.repository))
    assert "no longer quarantined" in result.output
    assert result.exit_code == 0
    status = {row["name"]: row for row in json.loads(run(ground, "status", "--json").output)["detections"]}
    assert status["sizes"]["health"] != "quarantined"
