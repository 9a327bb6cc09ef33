"""What only its author's own settings could make good: a pack has to run in every repository."""

from __future__ import annotations

from collections.abc import Iterator

from trapline.author.validation.advice.subject import Subject
from trapline.errors import Problem


def portable(subject: Subject) -> Iterator[Problem]:
    """An error for each decision that is the user's."""
    config = subject.detection.config
    if config.alert.destinations:
        message = "it names destinations, and a pack cannot know those of its users"
        keys = ("alert", "destinations")
        yield subject.in_config(keys, "names-destinations", message, "remove the key", severity="error")
    if subject.has_function("destinations"):
        message = "it has a function `destinations`, and a pack cannot know those of its users"
        yield subject.in_config((), "names-destinations", message, "remove it from the script", severity="error")
    if config.schedule.start:
        message = "it begins at a moment that its author chose, long past for whoever turns it on"
        yield subject.in_config(("schedule", "start"), "schedule-start", message, "remove the key", severity="error")
    if config.allow_source_builds:
        message = "its requirements run their build code on the user's controller"
        remedy = "require packages that have wheels, and remove the key"
        yield subject.in_config(("allow_source_builds",), "source-builds", message, remedy, severity="error")
