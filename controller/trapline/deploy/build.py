"""Making one version of one detection: lock its requirements, build it, seal it, and test it where it will run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Protocol

from trapline.deploy.digest import Version, version
from trapline.deploy.smoke import CaseResult, run_case
from trapline.detection.model import Detection
from trapline.errors import TraplineError
from trapline.requirements.lock import LOCK_FILE, REQUIREMENTS_FILE, Requirements, RequirementsError
from trapline.settings import Settings
from trapline.workers.interface import Backend, Build, BuildDigest, Rule, Seal, Worker, WorkerError
from trapline.workers.limits import limits_of


class Stalled(TraplineError):
    """This version of a detection cannot be deployed until a person changes it."""


class Kept(Protocol):
    """What is remembered of earlier builds: locked requirements by what they depend on, and the seals of builds."""

    def lock(self, key: str) -> str | None: ...

    def keep_lock(self, key: str, text: str, *, now: datetime) -> None: ...

    def keep_seal(self, digest: BuildDigest, seal: Seal, *, now: datetime) -> None: ...


class Log(Protocol):
    """Where that goes which a detection prints."""

    def append(self, identity: str, *, build_digest: str, source: str, text: str, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Builder:
    """The way from a detection's files to a build that passed its own tests, in one backend."""

    backend: Backend
    platform: str
    requirements: Requirements
    memory: Kept
    logs: Log
    settings: Settings
    now: Callable[[], datetime]
    on_progress: Callable[[str], None] = lambda _: None
    _made: set[BuildDigest] = field(default_factory=set)
    _turns: dict[BuildDigest, Lock] = field(default_factory=dict)

    def known_lock(self, detection: Detection) -> str | None:
        """The locked requirements where nothing needs to be resolved: none, a committed lock, or a kept one."""
        if committed := detection.files.get(LOCK_FILE):
            return committed.content.decode("utf-8", "replace")
        return self.memory.lock(self._lock_key(detection)) if detection.requirements.strip() else ""

    def version(self, detection: Detection) -> Version | None:
        """The digests of a detection; None while its requirements are not locked."""
        lock = self.known_lock(detection)
        return None if lock is None else version(detection, lock=lock, platform=self.platform)

    def lock(self, detection: Detection) -> str:
        """The locked requirements; resolved now where they never were, and kept until requirements.txt changes.

        Raises RequirementsError.
        """
        known = self.known_lock(detection)
        if known is not None:
            return known
        self.on_progress(f"locking the requirements of {detection.name}")
        text = self.requirements.lock(
            detection.requirements,
            path=f"{detection.path}/{REQUIREMENTS_FILE}",
            allow_source_builds=detection.config.allow_source_builds,
        )
        self.memory.keep_lock(self._lock_key(detection), text, now=self.now())
        return text

    def build(self, detection: Detection, digest: BuildDigest, lock: str, *, instead: bool) -> None:
        """Builds it, `instead` of something else that has this digest; once, however many detections share it.

        Raises RequirementsError and WorkerError.
        """
        with self._turns.setdefault(digest, Lock()):
            if digest not in self._made:
                if instead:
                    self.backend.remove([digest])
                self._make(detection, digest, lock)
                self._made.add(digest)

    def start(self, detection: Detection, digest: BuildDigest, *, coverage: bool = False) -> Worker:
        """A worker of what was built, with the limits that hold for it. Raises WorkerError."""
        rule = Rule(detection.name, detection.script, detection.mode.value, coverage)
        return self.backend.start(digest, rule, limits_of(self.settings, detection.config.limits))

    def smoke(self, detection: Detection, digest: BuildDigest) -> None:
        """Starts what was built, even without tests: a script that cannot be imported is not promoted.

        Raises Stalled with the cases that fail, and WorkerError.
        """
        results: list[CaseResult] = []
        died = ""
        try:
            with closing(self.start(detection, digest)) as worker:
                results += (run_case(detection, worker, case, self.settings) for case in detection.config.tests)
        except WorkerError as error:
            died = error.log
            raise
        finally:
            text = "".join([*(result.log for result in results), died])
            self.logs.append(detection.identity, build_digest=digest, source="its tests", text=text, now=self.now())
        if failing := [f"test {one.case.name!r}: {one.complaint}" for one in results if one.complaint]:
            raise Stalled(
                f"{detection.path}/{detection.config_file}: {'; '.join(failing)}",
                remedy="correct the rule or the test",
            )

    def _make(self, detection: Detection, digest: BuildDigest, lock: str) -> None:
        self.on_progress(f"building {detection.name}")
        packages = self.requirements.fetch(
            lock,
            path=f"{detection.path}/{LOCK_FILE if LOCK_FILE in detection.files else REQUIREMENTS_FILE}",
            allow_source_builds=detection.config.allow_source_builds,
        )
        files = {
            path: (file.content, file.executable)
            for path, file in detection.files.items()
            if path != detection.config_file
        }
        seal = self.backend.build(Build(digest, detection.name, files, packages))
        self.memory.keep_seal(digest, seal, now=self.now())

    def _lock_key(self, detection: Detection) -> str:
        return self.requirements.lock_key(
            detection.requirements, allow_source_builds=detection.config.allow_source_builds
        )


def needs_a_person(error: TraplineError) -> bool:
    """Whether only a change of the detection can help; an engine or an index that is away comes back by itself."""
    if isinstance(error, WorkerError):
        return error.outcome != "unavailable"
    if isinstance(error, RequirementsError):
        return not error.transient
    return isinstance(error, Stalled)
