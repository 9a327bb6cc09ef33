"""Planning a tick: which scans are due, each shared by all detections that read one table over one window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.query.engine import ScanRequest
from trapline.schedule import Every, Schedule
from trapline.settings import Settings
from trapline.window import NO_TIME, Checkpoint, Window

_TOLERANCE = timedelta(minutes=1)  # by so much may the clocks of two controllers differ


@dataclass(frozen=True, slots=True)
class PlannedScan:
    """One query and the detections that it feeds."""

    request: ScanRequest
    members: tuple[Deployment, ...]


def plan(
    deployments: Iterable[Deployment],
    checkpoints: Mapping[tuple[str, str], Checkpoint],
    settings: Settings,
    *,
    now: datetime,
    by_schedule: bool = False,
    skip: frozenset[tuple[str, str]] = frozenset(),
    apart: frozenset[str] = frozenset(),
) -> list[PlannedScan]:
    """The next scan of every (detection, table) that has something to read, those nearest to now first: nobody waits
    for who has to catch up.

    A detection with a schedule of its own reads up to its last due moment. The others read up to now, or,
    `by_schedule`, up to the last due moment of `schedule.every`; where they see records as they land, of
    `realtime.sweep`, and once up to when they began to. The identities in `apart` share no scan with the
    others and come after them: these shall not wait for them.

    `checkpoints` and `skip` are keyed by (identity, table), and everybody has a checkpoint. A table that the settings
    do not have is planned too: the engine's error then reaches the detections that name it.
    """
    others_due = Every(settings.schedule.every).last(now) if by_schedule else now
    members: dict[tuple[bool, ScanRequest], list[Deployment]] = defaultdict(list)
    sweep_due = Every(settings.realtime.sweep).last(now) if by_schedule else now
    for deployment in deployments:
        own = deployment.config.schedule.moments
        for table in deployment.config.tables:
            if (deployment.identity, table) in skip:
                continue
            checkpoint = checkpoints[deployment.identity, table]
            if own:
                due = own.last(now)
            elif checkpoint.streamed:
                due = max(sweep_due, checkpoint.streamed)
            else:
                due = others_due
            window = _next_window(deployment, table, checkpoint, settings, due=due)
            if window:
                members[deployment.identity in apart, ScanRequest(table, window)].append(deployment)
    scans = [(is_apart, PlannedScan(request, tuple(group))) for (is_apart, request), group in members.items()]
    scans.sort(key=lambda scan: scan[1].request.table)
    scans.sort(key=lambda scan: scan[1].request.window.end, reverse=True)
    scans.sort(key=lambda scan: scan[0])
    return [scan for _, scan in scans]


def next_due(deployments: Iterable[Deployment], settings: Settings, *, after: datetime) -> datetime:
    """The first moment after `after` at which any detection is due."""
    moments: set[Schedule] = {Every(settings.schedule.every)}
    for config in (deployment.config for deployment in deployments):
        if config.schedule.moments:
            moments.add(config.schedule.moments)
        elif config.realtime:
            moments.add(Every(settings.realtime.sweep))
    return min(each.next(after) for each in moments)


def beginnings(
    deployments: Iterable[Deployment],
    checkpoints: Mapping[tuple[str, str], Checkpoint],
    settings: Settings,
    *,
    now: datetime,
) -> dict[tuple[str, str], datetime]:
    """Who begins now, and where: who is new to a table, and whose `start` was changed."""
    found = {}
    for deployment in deployments:
        asked = deployment.config.schedule.start
        for table in deployment.config.tables:
            known = checkpoints.get((deployment.identity, table))
            if known is None or (asked is not None and asked != known.start):
                found[deployment.identity, table] = _start_of(deployment, table, settings, now=now)
    return found


def ahead_of_clock(checkpoint: Checkpoint, *, now: datetime) -> bool:
    """Whether a checkpoint lies where no clock that goes right can have brought it. A start may lie anywhere."""
    return checkpoint.position > now + _TOLERANCE and checkpoint.position != checkpoint.start


def _start_of(deployment: Deployment, table: str, settings: Settings, *, now: datetime) -> datetime:
    """Where a detection that is new to a table begins: at its `start`, else at that of all; else with the run of its
    own schedule that is under way, or one run of the others' before now."""
    schedule = deployment.config.schedule
    if start := schedule.start or settings.schedule.start:
        return start
    began = schedule.moments.last(now) if schedule.moments else now - settings.schedule.every
    return began - _lag(table, settings)


def _next_window(
    deployment: Deployment, table: str, checkpoint: Checkpoint, settings: Settings, *, due: datetime
) -> Window | None:
    """A rule that takes all records at once reasons over its window: no record comes twice, and no window is longer
    than one run of its own schedule."""
    lag, longest = _lag(table, settings), settings.schedule.longest_window
    until = due - lag
    if deployment.mode is Mode.RECORD:
        overlap = max(_overlap(table, settings), settings.realtime.lookback if checkpoint.streamed else NO_TIME)
        return checkpoint.window(until=until, longest=longest, overlap=overlap)
    own = deployment.config.schedule.moments
    if own is None or until <= checkpoint.position:
        return checkpoint.window(until=until, longest=longest)
    return checkpoint.window(until=min(until, own.next(checkpoint.position + lag) - lag), longest=None)


def _lag(table: str, settings: Settings) -> timedelta:
    known = settings.tables.get(table)
    return known.lag if known else NO_TIME


def _overlap(table: str, settings: Settings) -> timedelta:
    known = settings.tables.get(table)
    return known.overlap if known else NO_TIME
