"""Reconciling: what git wants, compared with what the engine has, brought together one detection at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from trapline.deploy.desired import Desired, Held, read_desired
from trapline.deploy.digest import build_digest, deploy_digest
from trapline.deploy.ledger import Deployment, Ledger, Status, Sync, backoff
from trapline.deploy.prune import forgotten, gone, over_the_cap
from trapline.deploy.requirements import LOCK_FILE, REQUIREMENTS_FILE, Requirements, RequirementsError
from trapline.deploy.smoke import failing_cases
from trapline.detection.model import Detection
from trapline.errors import Problem, TraplineError
from trapline.settings import Settings
from trapline.source.git import Mirror
from trapline.workers.interface import Backend, Build, BuildDigest, Limits, Rule, WorkerError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What reconciling did about one detection: `action` is an event kind, or `unchanged`."""

    name: str
    action: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One reconcile: the commit, what was done about each detection, and every problem found in the commit."""

    revision: str
    settings: Settings
    outcomes: tuple[Outcome, ...]
    problems: tuple[Problem, ...]

    def count(self, *actions: str) -> int:
        return sum(outcome.action in actions for outcome in self.outcomes)


class Stalled(TraplineError):
    """This version of a detection cannot be deployed until a person changes it."""


@dataclass(slots=True)
class _Pass:
    """What one reconcile works with."""

    desired: Desired
    backend: Backend
    platform: str
    requirements: Requirements
    deployments: Mapping[str, Deployment]
    statuses: Mapping[str, Status]
    built: set[BuildDigest]
    outcomes: list[Outcome] = field(default_factory=list)


class Reconciler:
    """Brings the deployments to what a resolved commit asks for. One failing detection never holds up another."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        mirror: Mirror,
        home: Path,
        backend_for: Callable[[Settings], Backend],
        limits_for: Callable[[Settings], Limits],
        now: Callable[[], datetime],
        on_progress: Callable[[str], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger = ledger
        self._mirror = mirror
        self._home = home
        self._backend_for = backend_for
        self._limits_for = limits_for
        self._now = now
        self._on_progress = on_progress
        self._stopping = stopping

    def reconcile(self, *, confirm_prune: bool = False) -> Report:
        """Raises SourceError where git gives no complete commit, and SettingsError where no trapline.yml was ever good;
        then nothing is changed and everything deployed runs on."""
        revision = self._mirror.fetch()
        work = self._look(revision)
        work.outcomes += [self._hold(work, held) for held in work.desired.held]
        enabled = [detection for detection in work.desired.detections if detection.config.enabled]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="deploy") as threads:
            work.outcomes += threads.map(lambda detection: self._bring(work, detection), enabled)
        self._disable(work)
        problems = [*work.desired.problems, *self._prune(work, confirmed=confirm_prune)]
        self._ledger.forget(forgotten(work.desired, work.deployments, work.statuses))
        work.backend.remove(work.backend.built() - self._ledger.builds_to_keep())
        outcomes = sorted(work.outcomes, key=lambda outcome: outcome.name)
        return Report(revision, work.desired.settings, tuple(outcomes), tuple(problems))

    def _look(self, revision: str) -> _Pass:
        last_settings = self._ledger.settings()
        tree = self._mirror.read(revision)
        desired = read_desired(
            revision,
            tree.files,
            skipped=tree.skipped,
            fallback=last_settings[1] if last_settings else None,
            env=os.environ,
        )
        backend = self._backend_for(desired.settings)
        self._ledger.keep_settings(revision, desired.settings_text)  # only now they are known to work
        python, platform = backend.python()
        return _Pass(
            desired=desired,
            backend=backend,
            platform=backend.platform(),
            requirements=Requirements(self._home / "requirements", python=python, platform=platform),
            deployments=self._ledger.deployments(),
            statuses=self._ledger.statuses(),
            built=backend.built(),
        )

    def _hold(self, work: _Pass, held: Held) -> Outcome:
        """A detection that cannot be deployed as it stands: reported, and its last good version left alone."""
        known = work.statuses.get(held.identity or "")
        known = known or next((s for s in work.statuses.values() if s.path == held.path), None)
        identity = held.identity or (known.identity if known else held.path)
        name = known.name if known else held.path.rsplit("/", 1)[-1]
        message = str(next(p for p in held.problems if p.severity == "error"))
        status = Status(identity, name, held.path, Sync.STALLED, work.desired.revision, self._now(), message)
        return self._note(work, status)

    def _bring(self, work: _Pass, detection: Detection) -> Outcome:
        """One detection from files to live. Never raises: what went wrong becomes its status."""
        status, live = work.statuses.get(detection.identity), work.deployments.get(detection.identity)
        if status and status.revision == work.desired.revision and status.retry_at and self._now() < status.retry_at:
            return Outcome(detection.name, status.sync.value, status.message)
        if self._stopping():
            return Outcome(detection.name, Sync.WAITING.value, "the controller is stopping")
        try:
            return self._deploy(work, detection, live)
        except TraplineError as error:
            sync, message = (Sync.STALLED if _needs_a_person(error) else Sync.WAITING), str(error)
        except Exception as error:  # the boundary between one detection and the others
            sync, message = Sync.WAITING, f"deploying failed in Trapline itself: {error!r}"
        tried = status.attempts if status and status.revision == work.desired.revision else 0
        now = self._now()
        failed = Status.of(detection, sync, revision=work.desired.revision, now=now)
        return self._note(work, replace(failed, message=message, attempts=tried + 1, retry_at=now + backoff(tried + 1)))

    def _deploy(self, work: _Pass, detection: Detection, live: Deployment | None) -> Outcome:
        lock = self._lock(work, detection)
        build = build_digest(detection, lock=lock, platform=work.platform)
        deploy = deploy_digest(detection, build)
        present = build in work.built
        if live and live.deploy_digest == deploy and present:
            self._settle(work, detection, Sync.SYNCED)
            return Outcome(detection.name, "unchanged")
        if not present:
            self._on_progress(f"building {detection.name}")
            self._build(work, detection, build, lock)
        self._smoke(work, detection, build)
        kind = _kind(live, build, present=present)
        self._ledger.promote(
            detection, build=build, deploy=deploy, revision=work.desired.revision, kind=kind, now=self._now()
        )
        return Outcome(detection.name, kind)

    def _lock(self, work: _Pass, detection: Detection) -> str:
        """The locked requirements: a committed lock wins, else the kept one, else they are resolved now, once."""
        committed = detection.files.get(LOCK_FILE)
        if committed:
            return committed.content.decode()
        if not detection.requirements.strip():
            return ""
        key = work.requirements.lock_key(detection.requirements)
        kept = self._ledger.lock(key)
        if kept is None:
            self._on_progress(f"locking the requirements of {detection.name}")
            kept = work.requirements.lock(detection.requirements, path=f"{detection.path}/{REQUIREMENTS_FILE}")
            self._ledger.keep_lock(key, kept, now=self._now())
        return kept

    def _build(self, work: _Pass, detection: Detection, digest: BuildDigest, lock: str) -> None:
        packages = work.requirements.fetch(lock, path=f"{detection.path}/{REQUIREMENTS_FILE}")
        files = {
            path: (file.content, file.executable)
            for path, file in detection.files.items()
            if path != detection.config_file
        }
        work.backend.build(Build(digest, detection.name, files, packages))

    def _smoke(self, work: _Pass, detection: Detection, digest: BuildDigest) -> None:
        """Starts what was built, even without tests: a script that cannot be imported is not promoted."""
        rule = Rule(detection.name, detection.script, detection.mode.value)
        worker = work.backend.start(digest, rule, self._limits_for(work.desired.settings))
        try:
            failing = failing_cases(detection, worker)
        finally:
            worker.close()
        if failing:
            raise Stalled(
                f"{detection.path}/{detection.config_file}: {'; '.join(failing)}",
                remedy="correct the rule or the test",
            )

    def _settle(self, work: _Pass, detection: Detection, sync: Sync) -> None:
        """Writes the status of a detection with which all is well, where that is news."""
        known = work.statuses.get(detection.identity)
        if known is None or (known.sync, known.name, known.path) != (sync, detection.name, detection.path):
            self._ledger.note(Status.of(detection, sync, revision=work.desired.revision, now=self._now()))

    def _disable(self, work: _Pass) -> None:
        for detection in work.desired.detections:
            if detection.config.enabled:
                continue
            if detection.identity in work.deployments:
                self._retire(work, detection.identity, Sync.DISABLED, "enabled: false")
            else:
                self._settle(work, detection, Sync.DISABLED)
                work.outcomes.append(Outcome(detection.name, Sync.DISABLED.value))

    def _prune(self, work: _Pass, *, confirmed: bool) -> list[Problem]:
        """Retires what left the repository; more than the cap only where a person confirmed it."""
        leaving = gone(work.desired, work.deployments, work.statuses)
        problem = over_the_cap(work.desired, leaving, work.deployments)
        if problem and not confirmed:
            return [problem]
        for identity in leaving:
            self._retire(work, identity, Sync.RETIRED, "no longer in the repository")
        return []

    def _retire(self, work: _Pass, identity: str, sync: Sync, message: str) -> None:
        self._ledger.retire(identity, sync=sync, revision=work.desired.revision, message=message, now=self._now())
        work.outcomes.append(Outcome(work.deployments[identity].name, sync.value, message))

    def _note(self, work: _Pass, status: Status) -> Outcome:
        """A version that is not live, and why."""
        if status.identity in work.deployments:
            status = replace(status, message=f"{status.message}; the last good version stays live")
        self._ledger.note(status)
        return Outcome(status.name, status.sync.value, status.message)


def _needs_a_person(error: TraplineError) -> bool:
    """Whether only a change of the detection can help; an engine that is away or full comes back by itself."""
    if isinstance(error, WorkerError):
        return error.outcome != "unavailable"
    return isinstance(error, Stalled | RequirementsError)


def _kind(live: Deployment | None, build: BuildDigest, *, present: bool) -> str:
    if live is None:
        return "deployed"
    if live.build_digest != build:
        return "updated"
    return "reconfigured" if present else "healed"
