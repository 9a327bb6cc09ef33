"""Reconciling: what git wants, compared with what the engine has, brought together one detection at a time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from trapline.deploy.build import Stalled, needs_a_person
from trapline.deploy.digest import attempt_digest
from trapline.deploy.ledger import Status, Sync, backoff
from trapline.deploy.overrides import Override
from trapline.deploy.plan import Action, Change, prune_problem
from trapline.deploy.prune import forgotten
from trapline.deploy.survey import House, Survey, Surveyor
from trapline.detection.model import Detection
from trapline.errors import Problem, TraplineError
from trapline.settings import Settings, SettingsError
from trapline.settings import load as load_settings
from trapline.source.tree import SourceError, Tree
from trapline_plugins.text import cut

LONGEST_MESSAGE = 2_000  # characters; a rule's own words can be longer than anybody reads


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
    trouble: Problem | None = None
    """Why git gave nothing new that can be read and trusted, so that the last good commit stood for it."""

    def count(self, *actions: str) -> int:
        return sum(outcome.action in actions for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class How:
    """How to reconcile. `fetch` false: no look at the remote; `only`: this identity alone, and nothing is retired.

    `confirm_prune`: whatever left is retired; `confirm_rewrite`: a rewritten history is followed though commits are
    verified.
    """

    confirm_prune: bool = False
    confirm_rewrite: bool = False
    fetch: bool = True
    retry_now: bool = False
    only: str | None = None


class Reconciler:
    """Brings the deployments to what a resolved commit asks for. One failing detection never holds up another."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._surveyor = Surveyor(house)
        self._ahead: tuple[str, str | SourceError] | None = None

    def reconcile(self, how: How = How()) -> Report:
        """Raises SourceError where git never gave a complete commit, and SettingsError where no trapline.yml was ever
        good; then nothing is changed and everything deployed runs on."""
        tree, trouble = self._tree(how)
        survey = self._surveyor.look(tree)
        desired = survey.desired
        self.house.memory.keep_settings(tree.revision, desired.settings_text)  # only now they are known to work
        self.house.memory.keep_suppressions(desired.suppressions_text)
        self.house.packs.keep(desired.settings, desired.packs)
        changes = survey.plan(confirm_prune=how.confirm_prune)
        if how.only is not None:
            changes = [one for one in changes if one.identity == how.only and one.action is not Action.RETIRE]
            outcomes, problems = self._carry_out(survey, changes, how), [trouble]
        else:
            refused = None if how.confirm_prune else prune_problem(desired, survey.actual)
            outcomes, problems = self._carry_out(survey, changes, how), [*desired.problems, refused, trouble]
            gone = forgotten(desired, survey.actual.deployments, survey.actual.statuses)
            self.house.ledger.forget(gone)
            self.house.logs.forget(gone)
            self._collect(survey)
            if not (trouble or refused):
                self.house.memory.keep_address(self.house.address)
        outcomes.sort(key=lambda outcome: outcome.name)
        found = tuple(problem for problem in problems if problem)
        return Report(tree.revision, desired.settings, tuple(outcomes), found, trouble=trouble)

    def look_up(self) -> str:
        """The revision that git is at now. Raises SourceError where it cannot be reached or trusted."""
        revision = self.house.mirror.fetch()
        self.house.mirror.verify(revision)
        return revision

    def look_ahead(self, *, retry_now: bool = False) -> None:
        """Asks the repository before it is this process's turn, and the sources of the packs that it names: a remote
        that hangs must hold up nobody else."""
        last = self.house.memory.source().revision
        try:
            found = self.look_up()
            self._ahead = (last, found)
        except SourceError as error:
            found = last
            self._ahead = (last, error)
        with suppress(SourceError):  # which is told when it is this process's turn
            if found:
                self.fetch_packs(self._files(found), retry_now=retry_now)

    def fetch_packs(self, tree: Tree, *, retry_now: bool = False) -> None:
        """Brings the packs that some files name. What cannot be had is told by a survey of them."""
        with suppress(SettingsError):  # so is this
            self.house.packs.fetch(load_settings(tree.files)[0], retry_now=retry_now)

    def _looked_up(self, last: str) -> str:
        """What was seen ahead, unless somebody else has reconciled since then."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != last:
            return self.look_up()
        if isinstance(ahead[1], SourceError):
            raise ahead[1]
        return ahead[1]

    def survey(self, revision: str) -> Survey:
        """A commit beside what there is, its packs fetched. Raises SourceError."""
        return self.survey_of(self._files(revision))

    def survey_of(self, tree: Tree) -> Survey:
        """Any files beside what there is, such as a checkout before it is merged, their packs fetched."""
        self.fetch_packs(tree)
        return self._surveyor.look(tree)

    def _files(self, revision: str) -> Tree:
        return self.house.mirror.read(revision, root=self.house.root).beneath(self.house.root)

    def _tree(self, how: How) -> tuple[Tree, Problem | None]:
        """The commit to bring about: where git gives none that can be read and trusted, the last one that could."""
        house = self.house
        last = house.memory.source().revision
        if last and not how.fetch:
            return self._files(last), None
        try:
            revision = self._looked_up(last)
            tree = self._files(revision)
            self._follow(revision, last, how)
        except SourceError as error:
            house.memory.not_reached(str(error), now=house.now())
            if not last:
                raise
            try:
                house.mirror.verify(last)  # verification may be newer than this commit
                tree = self._files(last)
            except SourceError:
                raise error from None  # nothing is left that can be read and trusted
            message = f"{error.message}; what was deployed from {last[:12]} runs on"
            return tree, Problem("repository", 0, "error", error.code, message, error.remedy)
        house.memory.reached(revision, now=house.now())
        return tree, None

    def _follow(self, revision: str, last: str, how: How) -> None:
        """Tells of a rewritten history. Where commits are verified it is not followed unasked: whoever may move the
        branch could otherwise bring back any commit that was ever signed."""
        house = self.house
        moved = house.memory.address() not in ("", house.address)
        if not last or moved or revision == last or house.mirror.follows(revision, last):
            return
        message = f"the history was rewritten: {revision[:12]} does not follow {last[:12]}"
        if house.verifies and not how.confirm_rewrite:
            raise SourceError("unverified", message, remedy="if that is meant, run `trapline sync --confirm-rewrite`")
        house.ledger.say("", "force-pushed", revision=revision, message=message, now=house.now())
        house.on_progress(message)

    def _carry_out(self, survey: Survey, changes: list[Change], how: How) -> list[Outcome]:
        """What needs no work first, then the deployments side by side, then what has to go."""
        quick = {Action.HOLD: self._hold, Action.NOTHING: self._settle}
        outcomes = [quick[change.action](survey, change) for change in changes if change.action in quick]
        work = [change for change in changes if change.action not in (*quick, Action.RETIRE, Action.DISABLE)]
        if work:
            with ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="deploy") as threads:
                outcomes += threads.map(lambda change: self._bring(survey, change, how), work)
        ends = {Action.DISABLE: Sync.DISABLED, Action.RETIRE: Sync.RETIRED}
        outcomes += [self._end(survey, change, ends[change.action]) for change in changes if change.action in ends]
        return outcomes

    def _hold(self, survey: Survey, change: Change) -> Outcome:
        """A detection that cannot be deployed as it stands: reported, and its last good version left alone."""
        return self._failed(
            survey, _status(survey, change, Sync.STALLED, self.house.now(), cut(change.reason, LONGEST_MESSAGE))
        )

    def _settle(self, survey: Survey, change: Change) -> Outcome:
        """A detection with nothing to do: its status is written where it is news."""
        sync, message = _standing(survey, change)
        self._note(survey, _status(survey, change, sync, self.house.now(), message))
        return Outcome(change.name, "unchanged" if sync is Sync.SYNCED else sync.value, message)

    def _bring(self, survey: Survey, change: Change, how: How) -> Outcome:
        """One detection from files to live. Never raises: what went wrong becomes its status."""
        detection, now = change.detection, self.house.now()
        assert detection is not None
        known = survey.actual.statuses.get(change.identity)
        again = known is not None and known.tried == self._attempt(survey, detection)
        if again and known and known.retry_at and now < known.retry_at and not how.retry_now:
            return Outcome(change.name, known.sync.value, known.message)
        if self.house.stopping():
            return Outcome(change.name, Sync.WAITING.value, "the controller is stopping")
        try:
            return self._deploy(survey, change, detection)
        except TraplineError as error:
            sync, message = (Sync.STALLED if needs_a_person(error) else Sync.WAITING), str(error)
        except Exception as error:  # the boundary between one detection and the others
            sync, message = Sync.WAITING, f"deploying failed in Trapline itself: {error!r}"
        failures = known.attempts if again and known else 0
        now = self.house.now()
        status = _status(survey, change, sync, now, cut(message, LONGEST_MESSAGE))
        tried = self._attempt(survey, detection)  # it may be locked by now
        status = replace(status, tried=tried, attempts=failures + 1, retry_at=now + backoff(failures))
        return self._failed(survey, status)

    def _attempt(self, survey: Survey, detection: Detection) -> str:
        lock = survey.builder.known_lock(detection)
        return attempt_digest(detection, lock=lock, platform=survey.builder.platform)

    def _deploy(self, survey: Survey, change: Change, detection: Detection) -> Outcome:
        """Lock, build where it is not there as it was made, test, promote."""
        builder, actual = survey.builder, survey.actual
        lock = builder.lock(detection)
        version = survey.version(detection)
        assert version is not None  # it is locked now
        present = version.build in actual.whole
        if not present:
            builder.build(detection, version.build, lock, instead=version.build in actual.touched)
            self.house.on_healed(version.build)
        builder.smoke(detection, version.build)
        if problems := self.house.against_tables(detection, survey.desired.settings):
            raise Stalled("; ".join(map(str, problems)))
        live, pin = actual.deployments.get(change.identity), actual.pins.get(change.identity)
        if live is None:
            kind = "deployed"
        elif live.build_digest != version.build:
            kind = "updated"
        else:
            kind = "reconfigured" if live.deploy_digest != version.deploy else "healed"
        sync, message = _standing(survey, change)
        now = self.house.now()
        self.house.ledger.promote(
            detection,
            build=version.build,
            deploy=version.deploy,
            revision=pin.revision if pin else survey.desired.revision,
            kind=kind,
            status=_status(survey, change, sync, now, message),
            now=now,
        )
        return Outcome(change.name, kind, message)

    def _end(self, survey: Survey, change: Change, sync: Sync) -> Outcome:
        revision, now = survey.desired.revision, self.house.now()
        self.house.ledger.retire(change.identity, sync=sync, revision=revision, message=change.reason, now=now)
        return Outcome(change.name, sync.value, change.reason)

    def _failed(self, survey: Survey, status: Status) -> Outcome:
        """A version that is not live, and why."""
        if status.identity in survey.actual.deployments:
            status = replace(status, message=f"{status.message}; the last good version stays live")
        self._note(survey, status)
        return Outcome(status.name, status.sync.value, status.message)

    def _note(self, survey: Survey, status: Status) -> None:
        """Writes a status where it is news; since when it stands so is kept for as long as it says the same."""
        known = survey.actual.statuses.get(status.identity)
        if known and (known.sync, known.message) == (status.sync, status.message):
            status = replace(status, updated_at=known.updated_at)
        if known is None or replace(known, revision=status.revision) != status:
            self.house.ledger.note(status)

    def _collect(self, survey: Survey) -> None:
        """Removes what nothing needs any more: builds beyond the rollbacks, and the requirements of none of them."""
        builder, memory = survey.builder, self.house.memory
        keep = self.house.ledger.builds_to_keep(survey.desired.settings.prune.rollbacks)
        unneeded = {*survey.actual.whole, *survey.actual.touched, *memory.seals()} - keep
        if unneeded:
            builder.backend.remove(unneeded)
            memory.drop_seals(unneeded)
        enabled = (detection for detection in survey.desired.detections if detection.config.enabled)
        locks = (builder.known_lock(detection) for detection in enabled)
        builder.requirements.collect({lock for lock in locks if lock})


def _standing(survey: Survey, change: Change) -> tuple[Sync, str]:
    """How a detection stands whose deployment is as it should be, and what there is to say about it."""
    if change.detection and not change.detection.config.enabled:
        return Sync.DISABLED, ""
    if suspension := survey.actual.suspended.get(change.identity):
        return Sync.SUSPENDED, str(suspension)
    if pin := survey.actual.pins.get(change.identity):
        return Sync.PINNED, f"{pin}; {_drift(survey, change, pin)}"
    return Sync.SYNCED, ""


def _drift(survey: Survey, change: Change, pin: Override) -> str:
    if change.identity not in survey.desired.pinned:
        return change.reason
    wanted = survey.desired.in_git.get(change.identity)
    version = survey.version(wanted) if wanted else None
    if version and version.deploy == pin.deploy_digest:
        return "git has the same version now"
    return f"git has {version.deploy[:12] if version else 'another version'}"


def _status(survey: Survey, change: Change, sync: Sync, now: datetime, message: str) -> Status:
    return Status(change.identity, change.name, change.path, sync, survey.desired.revision, now, message)
