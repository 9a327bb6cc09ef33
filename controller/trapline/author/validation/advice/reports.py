"""What the config says the detection is about: ids of MITRE ATT&CK."""

from __future__ import annotations

from collections.abc import Iterator

from trapline.author.attack import doubt
from trapline.author.validation.advice.subject import Subject
from trapline.errors import Problem, Severity


def attack_ids(subject: Subject) -> Iterator[Problem]:
    """An error for what is no id, and a warning for one that is not, or no longer, what it seems to be."""
    for index, text in enumerate(subject.detection.config.reports.attack):
        if found := doubt(text):
            severity: Severity = "error" if found.code == "attack-format" else "warning"
            keys = ("reports", "attack", index)
            yield subject.in_config(keys, found.code, found.message, found.remedy, severity=severity)
