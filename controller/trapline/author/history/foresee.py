"""What running versions over a past window will take: their schedules brought to it, the scans, and what these read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rich.filesize import decimal

from trapline.author.history.past import Version
from trapline.deploy.digest import Version as Digests
from trapline.deploy.digest import deploy_digest
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Detection, Mode, OwnSchedule
from trapline.query.engine import QueryError
from trapline.query.lake import Lake
from trapline.run.outlook import rule_of
from trapline.run.plan import PlannedScan, beginnings, plan
from trapline.run.rules import NOTHING, wanted_by
from trapline.settings import BudgetSettings, ScheduleSettings, Settings
from trapline.source.worktree import REVISION
from trapline.window import NO_TIME, Checkpoint, Window

_LOOKED_AT = 24
"""So many scans of a table are estimated: the others will read about as much."""


class _Cast(Detection):
    """A detection that runs under an identity other than its own."""

    runs_as: str

    @property
    def identity(self) -> str:
        return self.runs_as


@dataclass(frozen=True)
class Rehearsal:
    """The versions as they are run, as deployments too, the settings and the clock of the run, and its scans."""

    versions: Sequence[Version]
    deployments: Mapping[str, Deployment]
    settings: Settings
    now: datetime
    scans: Sequence[PlannedScan]


def rehearse(versions: Sequence[Version], window: Window, settings: Settings) -> Rehearsal:
    """Everything about a run but the run.

    Windows of a schedule end the lag of a table before a moment of it. So the lag stays, the longest for all tables,
    and the clock goes beyond the window by as much: what is read ends where the window ends.
    """
    lag = max((settings.tables[table].lag for one in versions for table in _tables(one, settings)), default=NO_TIME)
    tables = {
        name: table.model_copy(update={"lag": lag, "overlap": NO_TIME, "budget": BudgetSettings()})
        for name, table in settings.tables.items()
    }
    schedule = settings.schedule.model_copy(update={"start": window.start})
    changed = settings.model_copy(update={"tables": tables, "schedule": schedule})
    cast = [
        _cast(version, Window(window.start + lag, window.end + lag), lag, settings.schedule) for version in versions
    ]
    now = window.end + lag
    deployments = {version.identity: _deployment(version, now) for version in cast}
    return Rehearsal(cast, deployments, changed, now, list(_scans(deployments, changed, now)))


def too_much(rehearsal: Rehearsal, lake: Lake, settings: Settings, most_bytes: int | None) -> Mapping[str, str]:
    """The versions that are not run, by identity, and why: a table of theirs would have more read than is allowed."""
    refused: dict[str, str] = {}
    of_table: dict[str, list[PlannedScan]] = defaultdict(list)
    for planned in rehearsal.scans:
        of_table[planned.request.table].append(planned)
    for table, scans in of_table.items():
        known = settings.tables.get(table)
        most = most_bytes if most_bytes is not None else known.budget.day if known else None
        if most is None:
            continue
        size = _estimate(scans, rehearsal, lake)
        if size is not None and size > most:
            said = (
                f"table {table}: {decimal(size)} would be read of it, and {_whose(most_bytes)} allows {decimal(most)}: "
                "nothing was. Name a shorter time, or allow more with --max-bytes"
            )
            refused |= {member.identity: said for planned in scans for member in planned.members}
    return refused


def _whose(most_bytes: int | None) -> str:
    return "its budget.day in trapline.yml" if most_bytes is None else "--max-bytes"


def _tables(version: Version, settings: Settings) -> Iterator[str]:
    return (table for table in version.detection.config.tables if table in settings.tables)


def _cast(version: Version, moments: Window, lag: timedelta, schedule: ScheduleSettings) -> Version:
    """The version as it is run: from the window's start, and under its own identity."""
    detection = version.detection
    config = detection.config.model_copy(update={"schedule": _schedule(detection, moments, lag, schedule)})
    cast = _Cast(
        config=config, mode=detection.mode, path=detection.path, files=detection.files, runs_as=version.identity
    )
    return replace(version, detection=cast)


def _schedule(detection: Detection, moments: Window, lag: timedelta, others: ScheduleSettings) -> OwnSchedule:
    """When a rule runs that takes its window whole, from the first moment on that is in the window. For the others it
    makes no difference, so that all of them read as one."""
    if detection.mode is Mode.RECORD:
        return OwnSchedule()
    own = detection.config.schedule
    if own.moments is None:
        own = OwnSchedule(every=others.every)
    assert own.moments is not None  # given, or just made
    last = own.moments.last(moments.start)
    first = last if last == moments.start else own.moments.next(moments.start)
    return own.model_copy(update={"start": first - lag})


def _deployment(version: Version, now: datetime) -> Deployment:
    detection = version.detection
    digests = Digests(version.build, deploy_digest(detection, version.build))
    return Deployment.of(detection, digests, revision=REVISION, now=now)


def _scans(deployments: Mapping[str, Deployment], settings: Settings, now: datetime) -> Iterator[PlannedScan]:
    """Those that a tick makes, as long as nothing fails."""
    running = deployments.values()
    starts = beginnings(running, {}, settings, now=now)
    checkpoints = {pair: Checkpoint(start, start) for pair, start in starts.items()}
    while due := plan(running, checkpoints, settings, now=now):
        yield from due
        for planned in due:
            table, window = planned.request.table, planned.request.window
            for member in planned.members:
                pair = (member.identity, table)
                checkpoints[pair] = replace(checkpoints[pair], position=window.end)


def _estimate(scans: Sequence[PlannedScan], rehearsal: Rehearsal, lake: Lake) -> int | None:
    """What these scans of one table read, at most; None where the engine cannot tell. What is wrong with a table the
    scan itself will say."""
    rules = {version.identity: rule_of(version.detection) for version in rehearsal.versions}
    inference = rehearsal.settings.inference
    looked_at = scans[:: -(-len(scans) // _LOOKED_AT)]
    total = 0
    for planned in looked_at:
        known = [rules[member.identity] if inference.enabled else NOTHING for member in planned.members]
        wheres = [member.config.query.where for member in planned.members]
        try:
            size = lake.estimate(planned.request, wanted_by(known, wheres, audit=inference.audit_fraction))
        except QueryError:
            return None
        if size is None:
            return None
        total += size
    return total * len(scans) // len(looked_at)
