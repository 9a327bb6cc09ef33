"""Replaying an alert: the build that raised it, over the window it was raised in, compared with what was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from trapline.alerts.notify import provenance_from_json
from trapline.alerts.store import matches_of
from trapline.errors import TraplineError
from trapline.query.engine import ScanRequest
from trapline.run.context import Context
from trapline.run.feed import Feeder
from trapline.run.plan import PlannedScan
from trapline.window import Window
from trapline.workers.interface import BuildDigest


@dataclass(frozen=True, slots=True)
class Replay:
    """The ids of the alert's matches of the window, by whether they came again."""

    window: Window
    found: tuple[str, ...]
    missing: tuple[str, ...]


def replay(alert: Mapping[str, Any], context: Context) -> Replay:
    """`alert` is a row of the table `alerts`. Raises TraplineError where the detection or its run cannot be had."""
    provenance = provenance_from_json(alert["provenance"])
    live = context.ledger.deployments().get(alert["identity"])
    if live is None:
        raise TraplineError(
            f"{alert['detection']} is not deployed any more, so there is nothing to run",
            remedy=f"check out revision {provenance.revision[:12]} and deploy it again",
        )
    window = Window(provenance.window_start, provenance.window_end)
    build = replace(live, build_digest=BuildDigest(provenance.digest))
    planned = PlannedScan(ScanRequest(provenance.table, window), (build,))
    with ThreadPoolExecutor(1) as threads:
        _, [findings] = Feeder(context, threads).feed(planned)
    if findings.error:
        raise TraplineError(findings.error)
    again = {match.id for match in findings.matches}
    known = [
        row["id"]
        for row in matches_of(context.database, alert["id"])
        if row["table_name"] == provenance.table and window.start <= row["event_at"] < window.end
    ]
    return Replay(
        window,
        found=tuple(id for id in known if id in again),
        missing=tuple(id for id in known if id not in again),
    )
