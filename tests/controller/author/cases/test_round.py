"""What a save concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.playground import Playground
from trapline.author.cases.round import watched

Soon = Callable[[Iterator[Any]], Any]
USES = "from lib.geo import country\ndef detect(record):\n    return country(record)\n"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    ground = Playground(tmp_path / "ground")
    ground.write("lib/geo.py", "def country(record):\n    return 'NL'\n")
    ground.detection("one", USES)
    ground.detection("two", USES)
    ground.detection("three")
    return ground


@pytest.fixture
def told(ground: Playground) -> Iterator[Any]:
    with closing(watched(ground.repository)) as told:
        yield told


def test_a_save_concerns_those_whose_files_it_changes(ground: Playground, told: Any, soon: Soon) -> None:
    assert [one.name for one in soon(told).concerned] == ["one", "three", "two"]
    ground.write("README.md", "nothing")  # told with the next that concerns some, if at all
    ground.write("lib/geo.py", "def country(record):\n    return 'DE'\n")
    assert [one.name for one in soon(told).concerned] == ["one", "two"]
    ground.write("detections/three/notes.txt", "said of it")
    assert [one.name for one in soon(told).concerned] == ["three"]
    ground.settings(default_destinations=[])
    assert [one.name for one in soon(told).concerned] == ["one", "three", "two"]


def test_what_does_not_load_is_told_and_what_loads_again_runs(ground: Playground, told: Any, soon: Soon) -> None:
    soon(told)
    text = (ground.repository / "detections/three/detection.yml").read_text()
    ground.write("detections/three/detection.yml", text[:10])
    saved = soon(told)
    assert saved.concerned == []
    assert [problem.path for problem in saved.checkout.broken] == ["detections/three/detection.yml"]
    ground.write("detections/three/detection.yml", text)
    assert [one.name for one in soon(told).concerned] == ["three"]


def test_only_what_is_asked_about_is_told(ground: Playground, soon: Soon) -> None:
    with closing(watched(ground.repository / "detections/two")) as told:
        assert [one.name for one in soon(told).concerned] == ["two"]
        ground.detection("one", USES + "# changed\n")
        ground.write("lib/geo.py", "def country(record):\n    return 'FR'\n")
        assert [one.name for one in soon(told).concerned] == ["two"]
