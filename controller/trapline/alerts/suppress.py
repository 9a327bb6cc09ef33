"""Which of a detection's matches raise no alert, because suppressions.yml says so. They are recorded all the same.

A suppression that is over is an alarm until it is removed or renewed: what it was for alerts again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from trapline.alerts.match import Match
from trapline.alerts.operational import open_alarms, raise_alarm, settle_alarm
from trapline.alerts.origin import Origin
from trapline.detection.model import Severity
from trapline.state.database import Database
from trapline.suppressions import RENEW, Suppressions

ALARM = "suppression-expired"


def suppressed(origin: Origin, found: Iterable[Match], suppressions: Suppressions) -> dict[str, str]:
    """The matches that are suppressed, by their ids, and the suppression that does it: the first that covers them."""
    entries = suppressions.concerning(origin.config.identity, origin.config.name)
    if not entries:
        return {}
    by: dict[str, str] = {}
    for match in found:
        record = partial(json.loads, match.record or "null")
        entry = next((one for one in entries if one.covers(match.answer.dedupe, match.event_at, record)), None)
        if entry is not None:
            by[match.id] = entry.id
    return by


def tell_expired(database: Database, suppressions: Suppressions, *, destinations: Sequence[str], now: datetime) -> None:
    """Raises an alarm for each suppression that has come to its end, and settles those of what was cleared up."""
    over = {entry.id: entry for entry in suppressions.over(now)}
    with database.reading() as connection:
        told = set(open_alarms(connection, kind=ALARM))
    if told == over.keys():
        return
    with database.transaction() as connection:
        for id in sorted(told - over.keys()):
            settle_alarm(connection, kind=ALARM, subject=id, now=now)
        for id in sorted(over.keys() - told):
            entry = over[id]
            raise_alarm(
                connection,
                kind=ALARM,
                subject=id,
                title=f"A suppression of {entry.owner} has ended",
                description=f"{entry.ended}. What it suppressed raises alerts again.",
                severity=Severity.LOW,
                runbook=f"In suppressions.yml: {RENEW}.",
                destinations=destinations,
                context=entry.model_dump(mode="json", exclude_defaults=True),
                replay="trapline suppressions list",
                now=now,
            )
