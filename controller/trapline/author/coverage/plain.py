"""The matrix as plain values, for programs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from trapline.author.attack import version
from trapline.author.coverage.matrix import Matrix, Place, Tactic
from trapline.detection.model import Detection


def as_plain(matrix: Matrix) -> dict[str, Any]:
    """What `trapline coverage --json` prints, but for the problems. Techniques are counted as `Tactic` says."""
    enabled = sum(one.config.enabled for one in matrix.detections)
    return {
        "attack": version(),
        "platforms": list(matrix.platforms),
        "totals": {
            "enabled": enabled,
            "disabled": len(matrix.detections) - enabled,
            "tactics": sum(bool(one.enabled) for one in matrix.tactics),
            **_counts(matrix),
        },
        "tactics": [
            {
                "id": one.itself.id,
                "name": one.itself.name,
                **_counts(one),
                **_holders(one.itself),
                "techniques": [{"id": each.id, "name": each.name, **_holders(each)} for each in one.techniques],
            }
            for one in matrix.tactics
        ],
        "detections": [_detection(one) for one in matrix.detections],
        "without": names(matrix.silent),
    }


def names(detections: Collection[Detection]) -> Sequence[str]:
    """What detections are called."""
    return [one.name for one in detections]


def _counts(of: Matrix | Tactic) -> dict[str, int]:
    return {"covered": len(of.covered), "possible": len(of.possible), "others": len(of.others)}


def _holders(place: Place) -> dict[str, Sequence[str]]:
    return {"enabled": names(place.enabled), "disabled": names(place.disabled)}


def _detection(one: Detection) -> dict[str, Any]:
    return {
        "name": one.name,
        "display_name": one.config.display_name,
        "path": one.path,
        "enabled": one.config.enabled,
        "severity": one.config.alert.severity.value,
        "attack": list(one.config.reports.attack),
    }
