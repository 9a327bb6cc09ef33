"""Reconciling: what git wants, compared with what the engine has, brought together one detection at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from trapline.deploy.desired import Desired, Held, read_desired
from trapline.deploy.digest import build_digest, deploy_digest, runtime_digest
from trapline.deploy.ledger import Deployment, Ledger, Status, Sync, backoff
from trapline.deploy.requirements import Requirements, RequirementsError, check
from trapline.deploy.smoke import failing_cases
from trapline.detection.model import Detection
from trapline.errors import Problem, TraplineError
from trapline.settings import Settings
from trapline.source.git import Mirror
from trapline.workers.interface import Backend, Build, BuildDigest, Limits, Rule

LOCK_FILE = "requirements.lock"


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
    ) -> None:
        self._ledger = ledger
        self._mirror = mirror
        self._home = home
        self._backend_for = backend_for
        self._limits_for = limits_for
        self._now = now
        self._on_progress = on_progress

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
        problem = self._prune(work, confirmed=confirm_prune)
        self._forget(work)
        work.backend.remove(work.backend.built() - self._ledger.builds_to_keep())
        problems = (*work.desired.problems, *([problem] if problem else []))
        return Report(revision, work.desired.settings, tuple(sorted(work.outcomes, key=_by_name)), problems)

    def _look(self, revision: str) -> _Pass:
        last_settings = self._ledger.settings()
        desired = read_desired(
            revision,
            self._mirror.read(revision).files,
            fallback=last_settings[1] if last_settings else None,
            env=os.environ,
        )
        self._ledger.keep_settings(revision, desired.settings_text)
        backend = self._backend_for(desired.settings)
        python, platform = backend.python()
        return _Pass(
            desired=desired,
            backend=backend,
            requirements=Requirements(self._home / "requirements", python=python, platform=platform),
            deployments=self._ledger.deployments(),
            statuses=self._ledger.statuses(),
            built=backend.built(),
        )

    def _hold(self, work: _Pass, held: Held) -> Outcome:
        """A detection that cannot be deployed as it stands: reported, and its last good version left alone."""
        known = next((s for s in work.statuses.values() if s.path == held.path), None)
        identity = held.identity or (known.identity if known else held.path)
        name = known.name if known else held.path.rsplit("/", 1)[-1]
        live = identity in work.deployments
        message = str(next(p for p in held.problems if p.severity == "error"))
        return self._note(work, identity, name, held.path, Sync.STALLED, message, live=live)

    def _bring(self, work: _Pass, detection: Detection) -> Outcome:
        """One detection from files to live. Never raises: what went wrong becomes its status."""
        status, live = work.statuses.get(detection.identity), work.deployments.get(detection.identity)
        if status and status.revision == work.desired.revision and status.retry_at and self._now() < status.retry_at:
            return Outcome(detection.name, status.sync.value, status.message)
        try:
            return self._deploy(work, detection, live)
        except TraplineError as error:
            stalled = isinstance(error, Stalled | RequirementsError)
            sync, message = (Sync.STALLED if stalled else Sync.WAITING), str(error)
        except Exception as error:  # the boundary between one detection and the others
            sync, message = Sync.WAITING, f"deploying failed in Trapline itself: {error!r}"
        same = status is not None and status.revision == work.desired.revision
        attempts = status.attempts + 1 if status and same else 1
        return self._note(
            work,
            detection.identity,
            detection.name,
            detection.path,
            sync,
            message,
            live=live is not None,
            attempts=attempts,
        )

    def _deploy(self, work: _Pass, detection: Detection, live: Deployment | None) -> Outcome:
        lock = self._lock(work, detection)
        build = build_digest(detection, lock=lock, platform=work.backend.platform(), runtime=runtime_digest())
        deploy = deploy_digest(detection, build)
        present = build in work.built
        status = work.statuses.get(detection.identity)
        if live and live.deploy_digest == deploy and present:
            if status is None or status.sync is not Sync.SYNCED or status.path != detection.path:
                self._ledger.note(
                    detection.identity,
                    name=detection.name,
                    path=detection.path,
                    sync=Sync.SYNCED,
                    revision=work.desired.revision,
                    now=self._now(),
                )
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
            text = committed.content.decode()
            check(text, path=f"{detection.path}/{LOCK_FILE}")
            return text
        if not detection.requirements.strip():
            return ""
        key = work.requirements.lock_key(detection.requirements)
        kept = self._ledger.lock(key)
        if kept is None:
            self._on_progress(f"locking the requirements of {detection.name}")
            kept = work.requirements.lock(detection.requirements, path=f"{detection.path}/requirements.txt")
            self._ledger.keep_lock(key, kept, now=self._now())
        return kept

    def _build(self, work: _Pass, detection: Detection, digest: BuildDigest, lock: str) -> None:
        packages = work.requirements.fetch(lock, path=f"{detection.path}/requirements.txt")
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
                remedy="correct the rule or the test; the last good version stays live",
            )

    def _disable(self, work: _Pass) -> None:
        for detection in work.desired.detections:
            if detection.config.enabled:
                continue
            if detection.identity in work.deployments:
                self._retire(work, detection.identity, Sync.DISABLED, "enabled: false")
            else:
                self._ledger.note(
                    detection.identity,
                    name=detection.name,
                    path=detection.path,
                    sync=Sync.DISABLED,
                    revision=work.desired.revision,
                    now=self._now(),
                )
                work.outcomes.append(Outcome(detection.name, Sync.DISABLED.value))

    def _prune(self, work: _Pass, *, confirmed: bool) -> Problem | None:
        """Retires what the commit no longer has: never above the cap, and never what is merely broken there."""
        wanted = {detection.identity for detection in work.desired.detections}
        held_paths = {held.path for held in work.desired.held}
        kept = wanted | work.desired.broken_identities | {held.identity for held in work.desired.held}
        gone = [
            identity
            for identity in work.deployments
            if identity not in kept and not ((status := work.statuses.get(identity)) and status.path in held_paths)
        ]
        caps = work.desired.settings.prune
        too_many = len(gone) > caps.max_count or (
            len(gone) > 1 and len(gone) > caps.max_share * len(work.deployments)
        )  # one removal is always a person's deliberate act
        if too_many and not confirmed:
            return Problem(
                "trapline.yml",
                0,
                "error",
                "prune-cap",
                f"{len(gone)} of {len(work.deployments)} detections are gone at {work.desired.revision[:12]}: "
                "more than may be retired unasked, so all of them run on",
                "if that is meant, run `trapline controller --once --confirm-prune`",
            )
        for identity in gone:
            self._retire(work, identity, Sync.RETIRED, "no longer in the repository")
        return None

    def _forget(self, work: _Pass) -> None:
        """Drops the statuses of what never was live and left the commit, such as a broken folder that was mended."""
        present = {detection.identity for detection in work.desired.detections}
        held_paths = {held.path for held in work.desired.held}
        self._ledger.forget(
            identity
            for identity, status in work.statuses.items()
            if status.sync in (Sync.STALLED, Sync.WAITING)
            and identity not in present | work.deployments.keys()
            and status.path not in held_paths
        )

    def _retire(self, work: _Pass, identity: str, sync: Sync, message: str) -> None:
        self._ledger.retire(identity, sync=sync, revision=work.desired.revision, message=message, now=self._now())
        work.outcomes.append(Outcome(work.deployments[identity].name, sync.value, message))

    def _note(
        self,
        work: _Pass,
        identity: str,
        name: str,
        path: str,
        sync: Sync,
        message: str,
        *,
        live: bool,
        attempts: int = 0,
    ) -> Outcome:
        message += "" if not live else " (the last good version stays live)" if "stays live" not in message else ""
        now = self._now()
        self._ledger.note(
            identity,
            name=name,
            path=path,
            sync=sync,
            revision=work.desired.revision,
            now=now,
            message=message,
            attempts=attempts,
            retry_at=now + backoff(attempts) if attempts else None,
        )
        return Outcome(name, sync.value, message)


def _kind(live: Deployment | None, build: BuildDigest, *, present: bool) -> str:
    if live is None:
        return "deployed"
    if live.build_digest != build:
        return "updated"
    return "reconfigured" if present else "healed"


def _by_name(outcome: Outcome) -> str:
    return outcome.name
