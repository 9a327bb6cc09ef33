"""The layer for MITRE's ATT&CK Navigator: as its specification has it, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from trapline.author.coverage.layer import as_layer
from trapline.author.coverage.matrix import matrix_of
from trapline.detection.load import load
from trapline.detection.model import Detection, DetectionConfig, Mode, Reports
from trapline.source.worktree import read_directory

ROOT = Path(__file__).parents[4]
SPECIFIED = Draft202012Validator(json.loads((Path(__file__).parent / "navigator.schema.json").read_text()))


def detection(name: str, *attack: str, enabled: bool = True) -> Detection:
    config = DetectionConfig(name=name, enabled=enabled, tables=("logs",), reports=Reports(attack=attack))
    return Detection(config=config, mode=Mode.RECORD, path=f"detections/{name}", files={})


def layer(*detections: Detection) -> Any:
    made = as_layer(matrix_of(detections, platforms=["IaaS"]))
    SPECIFIED.validate(made)
    assert made["gradient"]["maxValue"] > made["gradient"]["minValue"]
    return made


def technique(of: Any, key: str, tactic: str) -> Any:
    [found] = [one for one in of["techniques"] if (one["techniqueID"], one["tactic"]) == (key, tactic)]
    return found


@pytest.mark.parametrize("attack", [(), ("t1098.001",), ("ta0006", "ta0006:t1110", "t9999", "ta0011:t1071")])
def test_it_is_as_specified(attack: tuple[str, ...]) -> None:
    layer(detection("a", *attack), detection("b", *attack, enabled=False))


def test_that_of_the_official_detections_is_as_specified() -> None:
    found = load(read_directory(ROOT).files).detections
    assert layer(*found) == layer(*reversed(found))


def test_a_technique_has_the_number_of_its_detections() -> None:
    made = layer(detection("b", "ta0006:t1110"), detection("a", "ta0006:t1110"), detection("c", "ta0005:t1562"))
    assert technique(made, "T1110", "credential-access") == {
        "techniqueID": "T1110",
        "tactic": "credential-access",
        "enabled": True,
        "score": 2,
        "comment": "a, b",
        "metadata": [{"name": "a", "value": "detections/a"}, {"name": "b", "value": "detections/b"}],
    }
    assert made["gradient"]["maxValue"] == 2


def test_the_techniques_of_sub_techniques_are_opened() -> None:
    made = layer(detection("a", "ta0003:t1098.001"))
    assert technique(made, "T1098", "persistence") == {
        "techniqueID": "T1098",
        "tactic": "persistence",
        "enabled": True,
        "showSubtechniques": True,
    }
    assert technique(made, "T1098.001", "persistence")["score"] == 1


def test_what_is_disabled_scores_nothing_and_is_named() -> None:
    made = layer(detection("a", "ta0006:t1110", enabled=False))
    found = technique(made, "T1110", "credential-access")
    assert (found["score"], found["comment"]) == (0, "disabled: a")


def test_what_the_filter_hides_is_named() -> None:
    assert "Hidden by the filter of platforms: T1003." in layer(detection("a", "t1003.001"))["description"]
    assert "Hidden" not in layer(detection("a", "t1110"))["description"]


def test_the_tactics_are_called_as_the_navigator_calls_them() -> None:
    made = layer(detection("a", "t1105", "t1110"))
    assert {one["tactic"] for one in made["techniques"]} == {"command-and-control", "credential-access"}
