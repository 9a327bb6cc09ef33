"""The plan: what a commit would change, one detection at a time, and why. Pure; reconciling carries it out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from trapline.deploy.desired import Desired, Held
from trapline.deploy.digest import Version
from trapline.deploy.ledger import Deployment, Status
from trapline.deploy.overrides import Override
from trapline.deploy.prune import elsewhere, gone, over_the_cap
from trapline.detection.model import PACKS, Detection, File, pack_of
from trapline.errors import Problem
from trapline.workers.interface import BuildDigest


class Action(StrEnum):
    """What is done about one detection."""

    CREATE = "create"
    REBUILD = "rebuild"
    RECONFIGURE = "reconfigure"
    HEAL = "heal"
    RETIRE = "retire"
    DISABLE = "disable"
    HOLD = "hold"  # it cannot be deployed as it stands; its last good version stays
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done about one detection. `files` are those that changed, as far as that was asked for."""

    identity: str
    name: str
    path: str
    action: Action
    reason: str = ""
    files: tuple[str, ...] = ()
    detection: Detection | None = None
    version: Version | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What there is: deployments and statuses by identity, decisions made by hand, and what the backend has.

    `whole` are the builds that are there as they were made; `touched` are there, but somebody has changed them.
    `moved`: what is live is from another repository, ref or root.
    """

    deployments: Mapping[str, Deployment]
    statuses: Mapping[str, Status]
    pins: Mapping[str, Override]
    suspended: Mapping[str, Override]
    whole: Collection[BuildDigest]
    touched: Collection[BuildDigest]
    moved: bool = False


Before = Callable[[Deployment], Mapping[str, File] | None]
"""The files of a version that is live, where they can still be read."""


def plan(
    desired: Desired,
    actual: Actual,
    *,
    version_of: Callable[[Detection], Version | None],
    before: Before = lambda _: None,
    confirm_prune: bool = False,
) -> list[Change]:
    """Every detection of the commit and every live one, with what is to be done about it, by name.

    `version_of` is None where the requirements are not locked yet; then something has certainly changed. What left the
    repository is held where it may not be retired unasked, and nobody confirmed it.
    """
    held = (one for one in desired.held if one.wanted or one.identity in actual.deployments)
    changes = list({change.identity: change for change in (_held(one, actual) for one in held)}.values())
    for detection in desired.detections:
        lost = detection.identity in actual.pins and detection.identity not in desired.pinned
        if lost and detection.config.enabled:
            reason = "the commit that it is pinned to is gone, so what is live stays as it is"
            changes.append(
                Change(detection.identity, detection.name, detection.path, Action.NOTHING, reason, (), detection)
            )
        else:
            changes.append(_wanted(detection, actual, version_of, before))
    changes += _turned_off(desired, actual)
    refused = None if confirm_prune else prune_problem(desired, actual)
    for identity, live in _leaving(desired, actual):
        known = actual.statuses.get(identity)
        path, reason = known.path if known else "", "no longer in the repository"
        if refused:
            changes.append(Change(identity, live.name, path, Action.HOLD, f"{reason}: {refused.remedy}"))
        else:
            changes.append(Change(identity, live.name, path, Action.RETIRE, reason))
    return sorted(changes, key=lambda change: (change.name, change.identity))


def _turned_off(desired: Desired, actual: Actual) -> Iterator[Change]:
    """What is live of a pack that has it, and is no longer used."""
    for identity in desired.unused & actual.deployments.keys():
        name, known = actual.deployments[identity].name, actual.statuses.get(identity)
        reason = f"no longer enabled in packs.{pack_of(identity)}"
        yield Change(identity, name, known.path if known else "", Action.DISABLE, reason)


def prune_problem(desired: Desired, actual: Actual) -> Problem | None:
    """Why what left the repository may not be retired unasked; None where it may."""
    leaving = [identity for identity, _ in _leaving(desired, actual)]
    if actual.moved and (problem := elsewhere(desired, leaving)):
        return problem
    return over_the_cap(desired, leaving, actual.deployments)


def _leaving(desired: Desired, actual: Actual) -> Iterator[tuple[str, Deployment]]:
    for identity in gone(desired, actual.deployments, actual.statuses):
        yield identity, actual.deployments[identity]


def _held(held: Held, actual: Actual) -> Change:
    known = actual.statuses.get(held.identity or "")
    known = known or next((status for status in actual.statuses.values() if status.path == held.path), None)
    identity = held.identity or (known.identity if known else held.path)
    name = known.name if known else _called(held.path)
    if suspension := actual.suspended.get(identity):
        return Change(identity, name, held.path, Action.NOTHING, str(suspension))
    reason = str(next(problem for problem in held.problems if problem.severity == "error"))
    return Change(identity, name, held.path, Action.HOLD, reason)


def _called(path: str) -> str:
    """What a folder's detection is called as long as nobody could read its name."""
    folder, parts = path.rsplit("/", 1)[-1], path.split("/")
    return f"{parts[1]}/{folder}" if parts[0] == PACKS and len(parts) > 2 else folder


def _wanted(
    detection: Detection, actual: Actual, version_of: Callable[[Detection], Version | None], before: Before
) -> Change:
    live = actual.deployments.get(detection.identity)
    wanted: Version | None = None

    def change(action: Action, reason: str = "", *, files: tuple[str, ...] = ()) -> Change:
        name, path = detection.name, detection.path
        return Change(detection.identity, name, path, action, reason, files, detection, version=wanted)

    if not detection.config.enabled:
        return change(Action.DISABLE, "enabled: false") if live else change(Action.NOTHING, "enabled: false")
    if suspension := actual.suspended.get(detection.identity):
        return change(Action.NOTHING, str(suspension))
    wanted = version_of(detection)
    if live is None:
        return change(Action.CREATE, "not live yet")
    if wanted is None or live.build_digest != wanted.build:
        files = changed_files(before(live), detection)
        return change(Action.REBUILD, _rebuild_reason(files, detection), files=files or ())
    if live.deploy_digest != wanted.deploy:
        return change(Action.RECONFIGURE, "only its configuration changed", files=(detection.config_file,))
    if wanted.build in actual.touched:
        return change(Action.HEAL, "its build was altered by hand")
    if wanted.build not in actual.whole:
        return change(Action.HEAL, "its build is gone")
    return change(Action.NOTHING)


def changed_files(before: Mapping[str, File] | None, detection: Detection) -> tuple[str, ...] | None:
    """The files that differ, by their path in the detection's folder; None where the earlier ones are not known."""
    if before is None:
        return None
    now = detection.files
    return tuple(sorted(name for name in {*before, *now} if before.get(name) != now.get(name)))


def _rebuild_reason(files: tuple[str, ...] | None, detection: Detection) -> str:
    if files is None:
        return "its files, its requirements or what it is built on changed"
    if not [name for name in files if name != detection.config_file]:
        return "what it is built on changed: the runtime, the base image, Python or a lock"
    return f"changed: {', '.join(files)}"
