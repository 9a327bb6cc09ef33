"""`python -m tests.docs.attack enterprise-attack.json`: writes the ids of MITRE ATT&CK that `trapline` knows.

The file is the STIX bundle of a release, from MITRE's repository `mitre-attack/attack-stix-data`. Do this when a new
version of ATT&CK is out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import trapline.author

IDS = Path(trapline.author.__file__).parent / "attack.tsv"

_HEAD = """\
# MITRE ATT&CK®, Enterprise, version {version}: its ids and names, of mitre-attack/attack-stix-data.
# © 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE Corporation.
# LICENSE: The MITRE Corporation (MITRE) hereby grants you a non-exclusive, royalty-free license to use ATT&CK® for
# research, development, and commercial purposes. Any copy you make for such purposes is authorized provided that you
# reproduce MITRE's copyright designation and this license in any such copy.
# Written by `python -m tests.docs.attack`: the tactics in the order of the matrix, then the techniques. Columns: id,
# name, tactics, what became of it (deprecated, or the id instead), and the platforms of those that are in use.
"""


def written(bundle: Mapping[str, Any]) -> str:
    """The text of the file, from a bundle: a line for each tactic of the matrix and each technique, those that were
    given up too."""
    objects: list[Mapping[str, Any]] = bundle["objects"]
    version = next(one["x_mitre_version"] for one in objects if one["type"] == "x-mitre-collection")
    matrix = next(one for one in objects if one["type"] == "x-mitre-matrix")
    by_reference = {one["id"]: one for one in objects if one["type"] == "x-mitre-tactic"}
    tactics = [by_reference[reference] for reference in matrix["tactic_refs"]]
    techniques = [one for one in objects if one["type"] == "attack-pattern" and _id(one)]
    tactic_of = {one["x_mitre_shortname"]: _id(one) for one in tactics}
    id_of = {one["id"]: _id(one) for one in techniques}
    replaced = {
        id_of[one["source_ref"]]: id_of[one["target_ref"]]
        for one in objects
        if one["type"] == "relationship" and one["relationship_type"] == "revoked-by" and one["target_ref"] in id_of
    }
    rows = []
    for one in techniques:
        phases = (phase["phase_name"] for phase in one.get("kill_chain_phases", ()))
        of = " ".join(sorted(tactic_of[phase] for phase in phases if phase in tactic_of))
        given_up = one.get("revoked") or one.get("x_mitre_deprecated")
        instead, on = (_instead(_id(one), replaced), "") if given_up else ("", _platforms(one))
        rows.append((_id(one), one["name"], of, instead, on))
    lines = [_line((_id(one), one["name"])) for one in tactics] + [_line(row) for row in sorted(rows)]
    return _HEAD.format(version=version) + "".join(lines)


def _platforms(one: Mapping[str, Any]) -> str:
    return ",".join(sorted(one.get("x_mitre_platforms", ())))


def _instead(key: str, replaced: Mapping[str, str]) -> str:
    """What is there today: what took its place may have been replaced in turn."""
    if key not in replaced:
        return "deprecated"
    while key in replaced:
        key = replaced[key]
    return key


def _id(one: Mapping[str, Any]) -> str:
    ids = (
        each["external_id"] for each in one.get("external_references", ()) if each.get("source_name") == "mitre-attack"
    )
    return next(ids, "")


def _line(row: Iterable[str]) -> str:
    return "\t".join(row).rstrip("\t") + "\n"


if __name__ == "__main__":
    IDS.write_text(written(json.loads(Path(sys.argv[1]).read_text())))
