"""What a rule said about a match, completed by what its config says: the same for production and for its tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trapline.detection.model import DetectionConfig, Severity
from trapline.workers.interface import MatchReply


@dataclass(frozen=True, slots=True)
class Answer:
    """A match's alert fields. `notes` says what the rule answered that could not be used."""

    title: str
    dedupe: str
    severity: Severity
    destinations: tuple[str, ...]
    description: str | None
    runbook: str | None
    context: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def complete(reply: MatchReply, config: DetectionConfig, *, default_destinations: tuple[str, ...] = ()) -> Answer:
    """Fills the gaps: title -> display_name -> name; dedupe -> title; severity and destinations -> config.

    What was decided about a detection of a pack holds, whatever its rule says.
    """
    notes: list[str] = []
    title = reply.title or config.display_name or config.name
    severity = config.alert.severity
    if config.decided.severity is None and reply.severity is not None:
        try:
            severity = Severity(reply.severity.strip().lower())
        except ValueError:
            notes.append(
                f"severity() answered {reply.severity!r}, which is none of {', '.join(Severity)}; "
                f"the configured {severity} is used"
            )
    destinations = config.alert.destinations or default_destinations
    if (
        config.decided.destinations is None and reply.destinations is not None
    ):  # an empty list is an answer too: this match is delivered nowhere
        destinations = reply.destinations
    return Answer(
        title=title,
        dedupe=reply.dedupe or title,
        severity=severity,
        destinations=destinations,
        description=reply.description or config.description,
        runbook=reply.runbook or config.runbook,
        context=reply.context,
        notes=tuple(notes),
    )
