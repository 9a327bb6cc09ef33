"""Planning a tick: which scans are due, each shared by all detections that read one table over one window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

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
) -> list[PlannedScan]:
    """The next scan of every (detection, table) that has something to read, oldest windows first.

    `checkpoints` and `skip` are keyed by (identity, table); who has no checkpoint starts where the settings say. A
    table that the settings do not have is planned too: the engine's error then reaches the detections that name it.
    """
    start = settings.schedule.start or now - settings.schedule.every
    members: dict[ScanRequest, list[Deployment]] = defaultdict(list)
    for deployment in deployments:
        for table in deployment.config.tables:
            if (deployment.identity, table) in skip:
                continue
            known = settings.tables.get(table)
            window = next_window(
                checkpoints.get((deployment.identity, table), start),
                now=now,
                lag=known.lag if known else now - now,
                longest=settings.schedule.longest_window,
            )
            if window:
                members[ScanRequest(table, window, deployment.config.query.where)].append(deployment)
    return [
        PlannedScan(request, tuple(group))
        for request, group in sorted(members.items(), key=lambda item: (item[0].window, item[0].table))
    ]
