"""What a config has to say, so that a stranger can choose the detection and act on its alerts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trapline.author.validation.advice.subject import Subject
from trapline.errors import Problem, Severity

_Wanted = tuple[tuple[str, ...], str, Severity, str]

_WANTED: Sequence[_Wanted] = (
    (("display_name",), "no-display-name", "error", "give it a name for people, in a few words"),
    (("description",), "no-description", "error", "say what it finds, why that matters, and what it leaves out"),
    (("runbook",), "no-runbook", "error", "write the steps with which somebody who is woken by an alert begins"),
    (("reports", "attack"), "no-attack", "error", "name what it finds by ids of ATT&CK, such as ta0006:t1110"),
    (("alert", "severity"), "no-severity", "error", "choose one of info, notice, low, medium, high, critical"),
    (("references",), "no-references", "warning", "link what explains the technique, or the events"),
    (("false_positives",), "no-false-positives", "warning", "say what else looks like this, such as a deployment"),
)
"""Keys, and what to do where one says nothing."""


def metadata(subject: Subject) -> Iterator[Problem]:
    """What a config does not say."""
    for keys, code, severity, remedy in _WANTED:
        if not _says(subject, keys):
            yield subject.in_config(keys, code, f"it has no `{'.'.join(keys)}`", remedy, severity=severity)


def _says(subject: Subject, keys: tuple[str, ...]) -> bool:
    """Whether the key is there, with something in it, or a function says it instead."""
    part = subject.detection.config
    *groups, last = keys
    for group in groups:
        part = getattr(part, group)
    value = getattr(part, last)
    said = last in part.model_fields_set and bool(value.strip() if isinstance(value, str) else value)
    return said or subject.has_function(last)
