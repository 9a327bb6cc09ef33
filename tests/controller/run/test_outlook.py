"""What a change of detections means for the bill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playground import Playground, deploy
from trapline.controller import Controller
from trapline.detection.load import load
from trapline.run.outlook import Outlook
from trapline.settings import Settings
from trapline.source.worktree import read_directory

NARROW = "def detect(record):\n    return record['event']['action'] == 'bad'\n"
WIDE = "def detect(record):\n    return 'bad' in str(record)\n"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path)
    ground.detection("one", NARROW)
    ground.records(*range(50), text="so wide that it is worth to leave it out")
    ground.at(5)
    return ground


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        deploy(ground, controller)
        yield controller


def outlook(ground: Playground, controller: Controller) -> list[Outlook]:
    settings = controller.settings() or Settings()
    return controller.outlook(load(read_directory(ground.repository).files).detections, settings)


def test_nothing_changes_where_nothing_is_changed(ground: Playground, controller: Controller) -> None:
    [logs] = outlook(ground, controller)
    assert (logs.table, logs.scans_per_day) == ("logs", 288)
    assert logs.before == logs.after
    assert logs.before


def test_a_rule_that_reads_everything_costs_more(ground: Playground, controller: Controller) -> None:
    ground.detection("two", WIDE)
    [logs] = outlook(ground, controller)
    assert logs.before is not None and logs.after is not None
    assert logs.before < logs.after == sum(file.stat().st_size for file in (ground.lake / "logs").iterdir())


def test_what_nobody_reads_any_more_and_what_cannot_be_looked_at(ground: Playground, controller: Controller) -> None:
    ground.detection("one", NARROW, enabled=False)
    [logs] = outlook(ground, controller)
    assert (logs.after, logs.trouble) == (None, "")
    for file in (ground.lake / "logs").iterdir():
        file.unlink()
    (ground.lake / "logs").rmdir()
    ground.detection("one", NARROW)
    [logs] = outlook(ground, controller)
    assert (logs.before, logs.after) == (None, None)
    assert "does not exist" in logs.trouble
