"""The scans of a tick: those of remote tables side by side, while those of this machine are made one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

from trapline.alerts.origin import ScanSummary
from trapline.deploy.ledger import Deployment
from trapline.query.engine import QueryError
from trapline.run.feed import Feeder, Interrupted
from trapline.run.findings import Findings
from trapline.run.plan import PlannedScan

SIDE_BY_SIDE = 8
"""So many remote scans at once: they wait for the engine for the most part, but each holds some batches."""

_OF_THE_CONDITION = ("syntax", "column-missing")


@dataclass(frozen=True, slots=True)
class Fed:
    """A scan that was made and what its detections said of it, or the error for which it could not be."""

    planned: PlannedScan
    summary: ScanSummary | None
    findings: Sequence[Findings] = ()
    error: QueryError | None = None


def feed_all(
    feeder: Feeder,
    due: Sequence[PlannedScan],
    *,
    remote: Callable[[str], bool],
    stopping: Callable[[], bool],
    on_scan: Callable[[PlannedScan], Any],
) -> Iterator[Fed]:
    """Makes the scans and tells of each as it ends; on stopping, of those that were seen whole."""

    def feed(planned: PlannedScan) -> list[Fed]:
        if stopping():
            return []
        on_scan(planned)
        try:
            return list(fed_apart(feeder, planned))
        except Interrupted:
            return []

    far = [planned for planned in due if remote(planned.request.table)]
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="scans") as threads:
        coming = [threads.submit(feed, planned) for planned in far]
        for planned in due:
            if planned not in far:
                yield from feed(planned)
        for future in as_completed(coming):
            yield from future.result()


def fed_apart(feeder: Feeder, planned: PlannedScan) -> Iterator[Fed]:
    """Makes one scan; where a detection's own condition is wrong, one for each condition. Raises Interrupted."""
    try:
        summary, findings = feeder.feed(planned)
    except QueryError as error:
        groups = _by_condition(planned.members) if error.code in _OF_THE_CONDITION else []
        if len(groups) < 2:
            yield Fed(planned, None, error=error)
        else:  # one detection's own condition holds up nobody else
            for group in groups:
                yield from fed_apart(feeder, replace(planned, members=tuple(group)))
    else:
        yield Fed(planned, summary, findings)


def _by_condition(members: Sequence[Deployment]) -> list[list[Deployment]]:
    groups: dict[str | None, list[Deployment]] = {}
    for member in members:
        groups.setdefault(member.config.query.where, []).append(member)
    return list(groups.values())
