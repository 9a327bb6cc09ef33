"""An issue as Jira tells of it, and what is to be changed in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trapline_plugins.jira_api import as_dict, as_dicts

QUERY = {"fields": "status,summary", "expand": "transitions"}
"""What to ask of an issue, so that it can be read here."""

_SEVERITIES = frozenset({"INFO", "NOTICE", "LOW", "MEDIUM", "HIGH", "CRITICAL"})
_COMPARED = 200  # a long title was cut after a severity of another length


@dataclass(frozen=True, slots=True)
class Transition:
    """A step that the workflow offers now: its id and name, and the name of the status that it leads to."""

    id: str
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class Issue:
    """What matters of an issue."""

    summary: str
    closed: bool
    transitions: tuple[Transition, ...]

    def transition(self, wanted: str) -> str | None:
        """The id of the transition of this name, or else of one to the status of this name."""
        for name in ("name", "to"):
            for offered in self.transitions:
                if getattr(offered, name).casefold() == wanted.casefold():
                    return offered.id
        return None

    def says_another_severity(self, summary: str) -> bool:
        """Whether its summary is the given one of ours with another severity; what a person wrote is none of ours."""
        (old, _, old_title), (new, _, new_title) = self.summary.partition(": "), summary.partition(": ")
        same_title = old_title[:_COMPARED] == new_title[:_COMPARED]
        return same_title and old != new and {old, new} <= _SEVERITIES


def read_issue(body: Mapping[str, Any]) -> Issue:
    """The issue in an answer to `QUERY`."""
    fields = as_dict(body.get("fields"))
    category = as_dict(as_dict(fields.get("status")).get("statusCategory"))
    transitions = (
        Transition(str(offered.get("id")), str(offered.get("name")), str(as_dict(offered.get("to")).get("name")))
        for offered in as_dicts(body.get("transitions"))
    )
    return Issue(str(fields.get("summary", "")), category.get("key") == "done", tuple(transitions))
