"""`trapline costs`, as a user reads it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.playground import Playground, deploy
from trapline.cli import cli
from trapline.clock import system_clock
from trapline.state.costs import Costs
from trapline.state.database import Database

SETTINGS = {
    "athena": {"output": "s3://results/", "price_per_tb": 5.0},
    "tables": {"logs": {"path": "lake/logs"}, "trails": {"engine": "athena"}},
}


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """A home in which two days were read, long after its detection was deployed."""
    ground = Playground(tmp_path)
    ground.settings(**SETTINGS)
    ground.detection("one")
    with ground.controller() as controller:
        deploy(ground, controller)
    database, today = Database.in_home(ground.home), system_clock()
    costs = Costs(database)
    costs.add("logs", ["one", "gone"], queries=1, bytes=3_000_000, at=today)
    costs.add("trails", ["one"], queries=2, bytes=2**40, at=today - timedelta(days=1))
    costs.add("trails", ["one"], queries=4, bytes=2**40, at=today - timedelta(days=30))
    database.close()
    return ground


def run(ground: Playground, *arguments: str) -> str:
    result = CliRunner().invoke(cli, ["costs", "--home", str(ground.home), *arguments], terminal_width=200)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_dearest_come_first(ground: Playground) -> None:
    lines = [" ".join(line.split()) for line in run(ground).splitlines()]
    assert lines[:3] == ["TABLE QUERIES READ USD", "trails 2 1.1 TB 5.00", "logs 1 3.0 MB -"]
    at = lines.index("DETECTION TABLE QUERIES READ USD")
    assert lines[at + 1 : at + 4] == ["one trails 2 1.1 TB 5.00", "gone logs 1 1.5 MB -", "one logs 1 1.5 MB -"]
    assert any(line.endswith("logs 1 3.0 MB -") and line[:4].isdigit() for line in lines)


def test_more_days_and_json(ground: Playground) -> None:
    said = json.loads(run(ground, "--days", "31", "--json"))
    assert said["tables"][0] == {"table": "trails", "queries": 6, "bytes": 2**41, "price_usd": 10.0}
    assert len(said["by_day"]) == 3
    assert {one["detection"] for one in said["detections"]} == {"one", "gone"}


def test_a_home_that_read_nothing(tmp_path: Path) -> None:
    Database.in_home(tmp_path / "home").close()
    result = CliRunner().invoke(cli, ["costs", "--home", str(tmp_path / "home")])
    assert "nothing was read within 7 days" in result.output
