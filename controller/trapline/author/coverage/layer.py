"""The matrix as a layer of MITRE's ATT&CK Navigator: version 4.5 of its file format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trapline.author.attack import version
from trapline.author.coverage.matrix import Matrix, Place, Tactic, technique_of
from trapline.author.coverage.plain import names

_NONE, _MOST = "#ffffff", "#2f7ed8"


def as_layer(matrix: Matrix) -> dict[str, Any]:
    """A layer that scores each technique with its enabled detections, the same for the same detections.

    What disabled detections alone name has the score 0; a technique that is there for its sub-techniques has none. The
    layer shows the platforms that the counts are of, and its description names what is covered beyond them.
    """
    techniques = [technique for tactic in matrix.tactics for technique in _techniques(tactic)]
    most = max([1, *(one["score"] for one in techniques if "score" in one)])
    return {
        "name": "Trapline detections",
        "versions": {"attack": version().partition(".")[0], "navigator": "4.9.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": _description(matrix),
        "filters": {"platforms": list(matrix.platforms)},
        "layout": {"layout": "side", "showID": True, "expandedSubtechniques": "annotated"},
        "techniques": techniques,
        "gradient": {"colors": [_NONE, _MOST], "minValue": 0, "maxValue": most},
        "legendItems": [
            {"label": "no enabled detection", "color": _NONE},
            {"label": f"{most} enabled detection{'s' if most > 1 else ''}", "color": _MOST},
        ],
        "selectTechniquesAcrossTactics": False,
    }


def _description(matrix: Matrix) -> str:
    what = "How many enabled detections name each technique; the comments say which."
    hidden = f" Hidden by the filter of platforms: {', '.join(sorted(matrix.others))}." if matrix.others else ""
    return f"{what}{hidden}"


def _techniques(tactic: Tactic) -> Iterator[dict[str, Any]]:
    parents = {technique_of(one.id) for one in tactic.techniques if "." in one.id}
    for place in tactic.techniques:
        yield {
            "techniqueID": place.id,
            "tactic": tactic.itself.name.lower().replace(" ", "-"),
            "enabled": True,
            **(_scored(place) if place.detections else {}),
            **({"showSubtechniques": True} if place.id in parents else {}),
        }


def _scored(place: Place) -> dict[str, Any]:
    disabled = f"disabled: {', '.join(names(place.disabled))}" if place.disabled else ""
    return {
        "score": len(place.enabled),
        "comment": "; ".join(part for part in (", ".join(names(place.enabled)), disabled) if part),
        "metadata": [{"name": one.name, "value": one.config.display_name or one.path} for one in place.detections],
    }
