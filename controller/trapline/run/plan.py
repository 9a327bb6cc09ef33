"""Planning a tick: which scans are due, each shared by all detections that read one table over one window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from trapline.deploy.ledger import Deployment
from trapline.query.engine import ScanRequest
from trapline.settings import Settings
from trapline.window import next_window


@dataclass(frozen=True, slots=True)
class PlannedScan:
    """One query and the detections that it feeds."""

    request: ScanRequest
    members: tuple[Deployment, ...]


def plan(
    deployments: Iterable[Deployment],
    checkpoints: Mapping[tuple[str, str], datetime],
    settings: Settings,
    *,
    now: datetime,
    skip: frozenset[tuple[str, str]] = frozenset(),
    apart: frozenset[str] = frozenset(),
) -> list[PlannedScan]:
    """The next scan of every (detection, table) that has something to read, oldest windows first.

    The identities in `apart` share no scan with the others and come after them: these shall not wait for them.

    `checkpoints` and `skip` are keyed by (identity, table), and everybody has a checkpoint. A table that the settings
    do not have is planned too: the engine's error then reaches the detections that name it.
    """
    members: dict[tuple[bool, ScanRequest], list[Deployment]] = defaultdict(list)
    for deployment in deployments:
        for table in deployment.config.tables:
            if (deployment.identity, table) in skip:
                continue
            window = next_window(
                checkpoints[deployment.identity, table],
                now=now,
                lag=_lag(table, settings),
                longest=settings.schedule.longest_window,
            )
            if window:
                request = ScanRequest(table, window)
                members[deployment.identity in apart, request].append(deployment)
    order = sorted(members.items(), key=lambda item: (item[0][0], item[0][1].window, item[0][1].table))
    return [PlannedScan(request, tuple(group)) for (_, request), group in order]


def start_of(table: str, settings: Settings, *, now: datetime) -> datetime:
    """Where a detection that is new to a table begins: at `schedule.start`, else one tick's worth before the lag."""
    return settings.schedule.start or now - _lag(table, settings) - settings.schedule.every


def _lag(table: str, settings: Settings) -> timedelta:
    known = settings.tables.get(table)
    return known.lag if known else timedelta()
