"""Ids of ATT&CK: which there are, what is said of the others, and how the list of them is made."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.docs import attack as renewing
from trapline.author.attack import doubt, known, places, platforms, version
from trapline.detection.load import load
from trapline.detection.model import Reports
from trapline.source.worktree import read_directory

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "text", ["ta0006:t1110", "TA0001:T1078.004", "t1110", "T1110.001", "ta0006", "ta0005:t1562.008"]
)
def test_what_is_an_id(text: str) -> None:
    assert doubt(text) is None


@pytest.mark.parametrize(
    ("text", "code", "message", "remedy"),
    [
        ("ta6:t1110", "attack-format", "`ta6:t1110` is no id of ATT&CK", "write a tactic and a technique, such as "),
        ("t1110:ta0006", "attack-format", "`t1110:ta0006` is no id", "such as ta0006:t1110"),
        ("", "attack-format", "`` is no id", "such as ta0006:t1110"),
        ("credential-access", "attack-format", "is no id of ATT&CK", "did you mean `ta0006`?"),
        ("Brute Force", "attack-format", "is no id of ATT&CK", "did you mean `t1110`?"),
        (
            "ta0006:t1110.009",
            "unknown-attack-id",
            "T1110.009 is no sub-technique of T1110 (Brute",
            "it has 001 to 004;",
        ),
        ("t1613.001", "unknown-attack-id", "no sub-technique of T1613", "it has none;"),
        ("ta0006:t9999", "unknown-attack-id", "T9999 is no technique of ATT&CK Enterprise", "or newer than version"),
        ("ta9999:t1110", "unknown-attack-id", "TA9999 is no tactic of ATT&CK Enterprise", "or newer than version"),
        (
            "ta0001:t1110",
            "attack-tactic",
            "T1110 (Brute Force) is not of the tactic TA0001 (Initial",
            "write ta0006:t1110",
        ),
        ("ta0006:t1098.001", "attack-tactic", "is not of the tactic", "write ta0003:t1098.001 or ta0004:t1098.001"),
        ("t1086", "retired-attack-id", "T1086 (PowerShell) is T1059.001 (PowerShell)", "write ta0002:t1059.001"),
        ("ta0011:t1026", "retired-attack-id", "ATT&CK has given up T1026 (Multiband", "choose what describes"),
    ],
)
def test_what_is_said_of_others(text: str, code: str, message: str, remedy: str) -> None:
    found = doubt(text)
    assert found is not None
    assert found.code == code
    assert message in found.message
    assert remedy in found.remedy


def test_the_list_is_whole() -> None:
    assert len(known()) > 800
    assert re.fullmatch(r"\d+\.\d+", version())
    for key, entry in known().items():
        assert entry.name, key
        assert all(known()[tactic] for tactic in entry.tactics)
        assert entry.instead in ("", "deprecated") or not known()[entry.instead].instead, key
        assert entry.tactics or entry.instead or key.startswith("TA"), key
        assert bool(entry.platforms) == bool(key.startswith("T1") and not entry.instead), key


def test_tactics_are_in_the_order_of_the_matrix() -> None:
    tactics = [entry.name for key, entry in known().items() if key.startswith("TA")]
    assert tactics[:3] == ["Reconnaissance", "Resource Development", "Initial Access"]
    assert tactics[-3:] == ["Command and Control", "Exfiltration", "Impact"]


def test_platforms_are_named_once() -> None:
    assert {"IaaS", "Identity Provider", "Windows"} <= set(platforms())
    assert len(platforms()) == len(set(platforms()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ta0006:T1110.001", [("TA0006", "T1110.001")]),
        ("t1098", [("TA0003", "T1098"), ("TA0004", "T1098")]),
        ("ta0040", [("TA0040", "")]),
        ("ta0001:t1110", []),
        ("t1086", []),
        ("t9999", []),
        ("Brute Force", []),
    ],
)
def test_where_an_id_stands(text: str, found: list[tuple[str, str]]) -> None:
    assert list(places(text)) == found


def test_the_official_detections_are_about_what_there_is() -> None:
    for detection in load(read_directory(ROOT).files).detections:
        for text in detection.config.reports.attack:
            assert doubt(text) is None, (detection.path, text)


def test_the_schema_takes_what_is_an_id() -> None:
    pattern = Reports.model_json_schema()["properties"]["attack"]["items"]["pattern"]
    for text in ("ta0006:t1110", "TA0001:T1078.004", "t1110", "ta0006"):
        assert re.search(pattern, text)
    for text in ("ta6", "t1110.1", "ta0006:", "credential-access", "x ta0006:t1110"):
        assert not re.search(pattern, text)


def _object(kind: str, key: str, name: str, **more: object) -> dict[str, object]:
    return {
        "type": kind,
        "id": f"{kind}--{key}",
        "name": name,
        "external_references": [{"source_name": "mitre-attack", "external_id": key}],
        **more,
    }


def _revoked(key: str, *, by: str) -> dict[str, str]:
    ends = {"source_ref": f"attack-pattern--{key}", "target_ref": f"attack-pattern--{by}"}
    return {"type": "relationship", "relationship_type": "revoked-by", **ends}


def test_the_list_is_made_from_a_release() -> None:
    phase = [{"kill_chain_name": "mitre-attack", "phase_name": "credential-access"}]
    bundle = {
        "objects": [
            {"type": "x-mitre-collection", "x_mitre_version": "99.5"},
            {"type": "x-mitre-matrix", "tactic_refs": ["x-mitre-tactic--TA0006", "x-mitre-tactic--TA0001"]},
            _object("x-mitre-tactic", "TA0001", "Initial Access", x_mitre_shortname="initial-access"),
            _object("attack-pattern", "T2", "Now", kill_chain_phases=phase, x_mitre_platforms=["Windows", "IaaS"]),
            _object("attack-pattern", "T1", "Then", kill_chain_phases=phase, revoked=True, x_mitre_platforms=["IaaS"]),
            _object("attack-pattern", "T3", "Never", x_mitre_deprecated=True),
            _object("x-mitre-tactic", "TA0006", "Credential Access", x_mitre_shortname="credential-access"),
            _object("attack-pattern", "T0", "Long ago", kill_chain_phases=phase, revoked=True),
            _revoked("T0", by="T1"),
            _revoked("T1", by="T2"),
        ]
    }
    head, rows = renewing.written(json.loads(json.dumps(bundle))).split("TA0006\t", 1)
    assert "version 99.5" in head
    assert "permission of The MITRE Corporation" in head
    assert ("TA0006\t" + rows).splitlines() == [
        "TA0006\tCredential Access",
        "TA0001\tInitial Access",
        "T0\tLong ago\tTA0006\tT2",
        "T1\tThen\tTA0006\tT2",
        "T2\tNow\tTA0006\t\tIaaS,Windows",
        "T3\tNever\t\tdeprecated",
    ]
    assert renewing.IDS.read_text().startswith(head.replace("99.5", version()))
