"""Looking at commits: what did not change is neither read nor worked out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.playground import Playground, actions
from trapline.controller import Controller
from trapline.deploy import survey
from trapline.deploy.build import Builder
from trapline.options import Options


class Worked(list[str]):
    """What was done over and over, by the name of what it was done to."""

    def take(self) -> list[str]:
        taken, self[:] = sorted(self), []
        return taken


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Worked:
    """The detections whose digests were worked out."""
    worked, original = Worked(), Builder.version

    def counted(self: Builder, detection: Any) -> Any:
        worked.append(detection.name)
        return original(self, detection)

    monkeypatch.setattr(Builder, "version", counted)
    return worked


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Worked:
    """The revisions that were loaded."""
    worked, original = Worked(), survey.read_desired

    def counted(revision: str, *arguments: Any, **named: Any) -> Any:
        worked.append(revision)
        return original(revision, *arguments, **named)

    monkeypatch.setattr(survey, "read_desired", counted)
    return worked


def test_only_what_changed_is_worked_out_again(tmp_path: Path, versions: Worked, readings: Worked) -> None:
    ground = Playground(tmp_path)
    ground.detection("one")
    ground.detection("two")
    first = ground.commit()
    with ground.controller() as controller:
        assert actions(controller.reconcile()) == {"one": "deployed", "two": "deployed"}
        assert (versions.take(), readings.take()) == (["one", "two"], [first])
        assert actions(controller.reconcile()) == {"one": "unchanged", "two": "unchanged"}
        assert (versions.take(), readings.take()) == ([], [])
        ground.detection("two", "def detect(record):\n    return False\n")
        second = ground.commit()
        assert actions(controller.reconcile()) == {"one": "unchanged", "two": "updated"}
        assert (versions.take(), readings.take()) == (["two"], [second])
        ground.detection("one", display_name="Another")
        ground.commit()
        assert actions(controller.reconcile()) == {"one": "reconfigured", "two": "unchanged"}
        assert versions.take() == ["one"]


def test_a_folder_of_the_repository_is_loaded_once_for_each_commit(tmp_path: Path, readings: Worked) -> None:
    ground = Playground(tmp_path)
    ground.detection("one")
    (ground.repository / "security").mkdir()
    for name in ("trapline.yml", "detections"):
        (ground.repository / name).rename(ground.repository / "security" / name)
    revision = ground.commit()
    options = Options(ground.home, str(ground.repository), root="security", sandbox="process")
    with Controller(options, now=lambda: ground.now) as controller:
        assert actions(controller.reconcile()) == {"one": "deployed"}
        assert actions(controller.reconcile()) == {"one": "unchanged"}
    assert readings == [revision]
