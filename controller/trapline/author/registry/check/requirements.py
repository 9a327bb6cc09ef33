"""Requirements: one version each, so that what was tested is what runs, and none that is there to reach the network."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_name

from trapline.author.registry.check.network import DISTRIBUTIONS
from trapline.author.validation.advice.subject import Subject
from trapline.errors import Problem
from trapline.requirements.lock import LOCK_FILE, REQUIREMENTS_FILE, Line, RequirementsError, check, lines


def requirements(subject: Subject) -> Iterator[Problem]:
    """An error for each that is not pinned and not locked either, and for each that needs a network."""
    detection = subject.detection
    path = detection.place(REQUIREMENTS_FILE)
    try:
        check(detection.requirements, path=path)
    except RequirementsError:  # which validating tells
        return
    for line in lines(detection.requirements):
        yield from _problems(line, path, locked=LOCK_FILE in detection.files)


def _problems(line: Line, path: str, *, locked: bool) -> Iterator[Problem]:
    name = line.requirement.name
    if not line.pinned and not locked:
        remedy = f"write `{name}==VERSION`, or commit a lock: `trapline lock NAME`"
        message = f"{name} is not pinned: another version may be fetched than was tested"
        yield Problem(path, line.number, "error", "unpinned-requirement", message, remedy)
    if canonicalize_name(name) in DISTRIBUTIONS:
        message = f"{name} is for reaching the network, and the sandbox has none"
        yield Problem(
            path, line.number, "error", "needs-network", message, "remove it: a rule has its records, and no more"
        )
