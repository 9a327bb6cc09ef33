"""Locking a detection's requirements in a checkout, and whether a lock that is there is what they come to today."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trapline.detection.model import Detection
from trapline.errors import Problem
from trapline.requirements.lock import LOCK_FILE, REQUIREMENTS_FILE, Requirements, RequirementsError, check, pins
from trapline.settings import Settings
from trapline.workers.choose import choose

_SCOPE = "lock"  # nothing is built, so that all who lock can share it


@dataclass(frozen=True, slots=True)
class Locker:
    """Resolves requirements for the Python and platform of the sandbox that would run them."""

    requirements: Requirements
    python: str
    platform: str

    def lock(self, detection: Detection, *, upgrade: bool = False) -> str:
        """The lock of today, with the versions of the one that is there where they still will do, unless `upgrade`.

        Raises RequirementsError.
        """
        before = present(detection)
        return self.requirements.lock(
            detection.requirements,
            path=f"{detection.path}/{REQUIREMENTS_FILE}",
            allow_source_builds=detection.config.allow_source_builds,
            prefer="" if upgrade or not _usable(before, lock_path(detection)) else before,
        )


@contextmanager
def locker(settings: Settings, *, sandbox: str | None, base_image: str | None) -> Iterator[Locker]:
    """The one of a repository; `sandbox` and `base_image` win over what its settings say."""
    with tempfile.TemporaryDirectory() as home:
        backend, _ = choose(
            sandbox or settings.sandbox.backend,
            home=Path(home, "builds"),
            base_image=base_image or settings.sandbox.base_image,
            scope=_SCOPE,
        )
        with closing(backend):
            python, platform = backend.python()
        yield Locker(Requirements(Path(home, "requirements"), python=python, platform=platform), python, platform)


def unresolved(detections: Iterable[Detection], locker: Locker) -> Iterator[Problem]:
    """An error for requirements that cannot be had, and for a lock that is not what they come to."""
    for detection in detections:
        before = present(detection)
        if not _usable(before, lock_path(detection)):
            continue  # what is wrong with a lock by itself is found without asking anybody
        try:
            after = locker.lock(detection)
        except RequirementsError as error:
            yield error.problem
            continue
        if before and (said := differences(before, after)):
            message = f"it is not what {REQUIREMENTS_FILE} asks for: it {'; it '.join(said)}"
            remedy = f"write it anew with `trapline lock {detection.name}`"
            yield Problem(lock_path(detection), 0, "error", "lock-outdated", message, remedy)


def differences(before: str, after: str) -> list[str]:
    """In what a lock is not the one that was resolved now: `lacks leaf==1.0`, `has other==2.0, which ...`."""
    old, new = pins(before), pins(after)
    return [
        *(f"lacks {line}" for line in sorted(new - old)),
        *(f"has {line}, which the requirements do not ask for" for line in sorted(old - new)),
    ]


def present(detection: Detection) -> str:
    """The lock that is committed; empty where there is none."""
    file = detection.files.get(LOCK_FILE)
    return file.content.decode("utf-8", "replace") if file else ""


def lock_path(detection: Detection) -> str:
    """Where a detection's lock is, from the root of the repository."""
    return f"{detection.path}/{LOCK_FILE}"


def _usable(lock: str, path: str) -> bool:
    try:
        check(lock, path=path)
    except RequirementsError:
        return False
    return True
