"""Detections in their places on the matrix of ATT&CK, and what is counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from trapline.author.attack import known
from trapline.author.coverage.matrix import Matrix, Tactic, matrix_of
from trapline.author.coverage.plain import as_plain, names
from trapline.detection.model import Detection, DetectionConfig, Mode, Reports


def detection(name: str, *attack: str, enabled: bool = True) -> Detection:
    config = DetectionConfig(name=name, enabled=enabled, tables=("logs",), reports=Reports(attack=attack))
    return Detection(config=config, mode=Mode.RECORD, path=f"detections/{name}", files={})


def matrix(*detections: Detection, platforms: Sequence[str] = ("IaaS",)) -> Matrix:
    return matrix_of(detections, platforms=platforms)


def tactic(of: Matrix, key: str) -> Tactic:
    return next(one for one in of.tactics if one.itself.id == key)


def shown(of: Tactic) -> dict[str, Sequence[str]]:
    return {one.id: names(one.detections) for one in of.techniques}


def test_every_tactic_is_there_in_the_order_of_attack() -> None:
    assert [one.itself.id for one in matrix().tactics] == [key for key in known() if key.startswith("TA")]
    assert matrix().covered == frozenset()


def test_a_technique_without_a_tactic_is_under_each_of_its_tactics() -> None:
    found = matrix(detection("a", "t1098"))
    assert [one.itself.id for one in found.tactics if one.enabled] == ["TA0003", "TA0004"]
    assert found.covered == {"T1098"}


def test_a_technique_with_a_tactic_is_under_that_alone() -> None:
    found = matrix(detection("a", "ta0004:t1098", "TA0004:T1098"))
    assert shown(tactic(found, "TA0004")) == {"T1098": ["a"]}
    assert shown(tactic(found, "TA0003")) == {}


def test_a_sub_technique_stands_behind_its_technique_and_counts_for_it() -> None:
    found = matrix(detection("b", "ta0006:t1110.003"), detection("a", "ta0006:t1110.001"))
    access = tactic(found, "TA0006")
    assert shown(access) == {"T1110": [], "T1110.001": ["a"], "T1110.003": ["b"]}
    assert access.covered == {"T1110"}
    assert access.enabled == {"a", "b"}


def test_a_tactic_alone_covers_no_technique() -> None:
    access = tactic(matrix(detection("a", "ta0006")), "TA0006")
    assert names(access.itself.detections) == ["a"]
    assert (shown(access), access.covered, access.enabled) == ({}, frozenset(), {"a"})


def test_what_is_disabled_covers_nothing() -> None:
    found = matrix(detection("off", "ta0006:t1110", enabled=False), detection("on", "ta0006:t1110"))
    [technique] = tactic(found, "TA0006").techniques
    assert (names(technique.enabled), names(technique.disabled)) == (["on"], ["off"])
    alone = matrix(detection("off", "ta0006:t1110", enabled=False))
    assert (alone.covered, tactic(alone, "TA0006").enabled) == (frozenset(), set())
    assert shown(tactic(alone, "TA0006")) == {"T1110": ["off"]}


@pytest.mark.parametrize("attack", [(), ("brute force",), ("t9999",), ("ta0001:t1110",), ("t1086",)])
def test_what_is_wrong_has_no_place(attack: tuple[str, ...]) -> None:
    found = matrix(detection("a", *attack))
    assert not any(one.techniques or one.enabled for one in found.tactics)
    assert names(found.silent) == ["a"]


def test_counts_are_of_the_platforms() -> None:
    logs, printers = detection("a", "ta0005:t1562.008"), detection("b", "ta0006:t1003.001")
    cloud = matrix(logs, printers)
    assert (cloud.covered, cloud.others) == ({"T1562"}, {"T1003"})
    assert cloud.covered <= cloud.possible
    windows = matrix(logs, printers, platforms=["Windows"])
    assert (windows.covered, windows.others) == ({"T1003"}, {"T1562"})
    both = matrix(logs, printers, platforms=["Windows", "IaaS"])
    assert (both.covered, both.others) == ({"T1562", "T1003"}, frozenset())
    assert both.possible == cloud.possible | windows.possible


def test_what_is_possible_is_in_use_and_whole() -> None:
    for one in matrix().tactics:
        for key in one.possible:
            assert "." not in key
            assert not known()[key].instead
    assert "T1530" in tactic(matrix(), "TA0009").possible
    assert "T1003" not in tactic(matrix(), "TA0006").possible
    # A part of it is of the platform, where ATT&CK does not say so of the whole.
    assert "IaaS" not in known()["T1020"].platforms
    assert "T1020" in tactic(matrix(), "TA0010").possible


def test_for_programs() -> None:
    plain = as_plain(matrix(detection("b", "ta0006", "ta0006:t1110"), detection("a", enabled=False)))
    assert plain["platforms"] == ["IaaS"]
    possible = len(matrix().possible)
    counts = {"enabled": 1, "disabled": 1, "tactics": 1, "covered": 1, "possible": possible, "others": 0}
    assert plain["totals"] == counts
    access = next(one for one in plain["tactics"] if one["id"] == "TA0006")
    assert (access["name"], access["covered"], access["enabled"]) == ("Credential Access", 1, ["b"])
    assert access["techniques"] == [{"id": "T1110", "name": "Brute Force", "enabled": ["b"], "disabled": []}]
    assert [one["name"] for one in plain["detections"]] == ["a", "b"]
    assert plain["without"] == ["a"]
