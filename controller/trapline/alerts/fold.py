"""New matches of a detection brought into its alerts: what each alert was, and what it is from now on.

All that is asked of the database is asked for all dedupe keys together; nothing is written here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trapline.alerts.lifecycle import Moment, Span, assign
from trapline.alerts.match import Match
from trapline.alerts.notify import provenance_of, provenance_to_json
from trapline.alerts.origin import Origin, ScanSummary
from trapline.detection.model import Severity
from trapline.fingerprint import fingerprint
from trapline.state.database import chunks
from trapline.state.schema import alerts, matches
from trapline.window import Window
from trapline.workers.answer import Answer
from trapline_plugins.api import Kind


@dataclass(frozen=True, slots=True)
class Change:
    """What new matches make of one alert: its rows in the table `alerts`, `before` None where it is new.

    `joined` are the matches that it gets, oldest first. `kind` is what is to be said of it; None where a late match
    joins an alert that is over: that it was resolved is the last that anybody hears of it.
    """

    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    joined: Sequence[Match]
    kind: Kind | None


def fold(
    connection: sa.Connection, origin: Origin, scan: ScanSummary, fresh: Sequence[Match], *, now: datetime
) -> list[Change]:
    """What these matches, none of which is in the database yet, change."""
    by_key: dict[str, list[Match]] = defaultdict(list)
    for match in fresh:
        by_key[match.answer.dedupe].append(match)
    if not by_key:
        return []
    settings = origin.config.alert
    times = [match.event_at for match in fresh]
    around = Window(min(times) - settings.window, max(times) + settings.window)
    pending = _pending(connection, origin.identity, by_key, around)
    known = _spans(connection, origin.identity, by_key, around)
    changed = [
        (dedupe, span)
        for dedupe, group in sorted(by_key.items())
        for span in assign(
            [Moment(match.event_at, match.id) for match in group],
            pending=pending[dedupe],
            known=known[dedupe],
            threshold=settings.threshold,
            window=settings.window,
        )
    ]
    whole = {match.id: match for match in fresh}
    whole |= _matches(connection, [m.match_id for _, span in changed for m in span.joined if m.match_id not in whole])
    before = _alerts(connection, [span.alert_id for _, span in changed if span.alert_id])
    provenance = provenance_to_json(provenance_of(origin, scan))  # what replays it is each alert's own
    return [
        _change(origin, provenance, dedupe, span, [whole[m.match_id] for m in sorted(span.joined)], before, now)
        for dedupe, span in changed
    ]


def _change(
    origin: Origin,
    provenance: Mapping[str, Any],
    dedupe: str,
    span: Span,
    joined: Sequence[Match],
    known: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> Change:
    if span.alert_id is None:
        alert = opened(origin, provenance, dedupe, span, joined, now)
        return Change(None, alert, joined, Kind.OPENED)
    before = known[span.alert_id]
    after = {**before, **_joined(before, joined, now)}
    if before["status"] == "open":
        return Change(before, after, joined, Kind.UPDATED)
    if after["severity"] == before["severity"]:
        return Change(before, after, joined, None)
    # Worse than what somebody thought was over.
    reopened = {"status": "open", "resolved_at": None, "resolved_by": "", "resolution": ""}
    return Change(before, {**after, **reopened}, joined, Kind.UPDATED)


def opened(
    origin: Origin,
    provenance: Mapping[str, Any],
    dedupe: str,
    span: Span,
    joined: Sequence[Match],
    now: datetime,
) -> dict[str, Any]:
    """The row of an alert that these matches, oldest first, open."""
    first = joined[0]
    alert_id = fingerprint(*(part.encode() for part in (origin.identity, dedupe, first.id)))[:20]
    return {
        "id": alert_id,
        "identity": origin.identity,
        "detection": origin.config.name,
        "dedupe": dedupe,
        "title": first.answer.title,
        "severity": highest(match.answer.severity for match in joined),
        "status": "open",
        "destinations": _union(match.answer.destinations for match in joined),
        "description": first.answer.description,
        "runbook": first.answer.runbook,
        "context": dict(first.answer.context),
        "match_count": len(joined),
        "first_match_at": first.event_at,
        "last_match_at": joined[-1].event_at,
        "window_end": span.end,
        "opened_at": now,
        "updated_at": now,
        "provenance": {**provenance, "replay": f"trapline alerts replay {alert_id}"},
        "told": [],
        "told_at": None,
        "storm_id": None,
        "resolved_at": None,
        "resolved_by": "",
        "resolution": "",
    }


def _joined(before: Mapping[str, Any], joined: Sequence[Match], now: datetime) -> dict[str, Any]:
    """An alert's severity may rise and its destinations grow; its title and window stay what they were."""
    return {
        "severity": highest([Severity(before["severity"]), *(match.answer.severity for match in joined)]),
        "destinations": _union([before["destinations"], *(match.answer.destinations for match in joined)]),
        "match_count": before["match_count"] + len(joined),
        "last_match_at": max(before["last_match_at"], joined[-1].event_at),
        "updated_at": now,
    }


def highest(severities: Iterable[Severity]) -> str:
    """The highest of some severities, as it is kept."""
    return max(set(severities), key=lambda severity: severity.rank).value


def _pending(
    connection: sa.Connection, identity: str, dedupes: Collection[str], around: Window
) -> Mapping[str, list[Moment]]:
    """The matches without an alert, by dedupe key; those that are suppressed never get one."""
    found: dict[str, list[Moment]] = defaultdict(list)
    for some in chunks(dedupes):
        query = sa.select(matches.c.dedupe, matches.c.event_at, matches.c.id).where(
            matches.c.identity == identity,
            matches.c.dedupe.in_(some),
            matches.c.event_at.between(around.start, around.end),
            matches.c.alert_id.is_(None),
            matches.c.suppressed_by.is_(None),
        )
        for dedupe, event_at, id in connection.execute(query):
            found[dedupe].append(Moment(event_at, id))
    return found


def _spans(
    connection: sa.Connection, identity: str, dedupes: Collection[str], around: Window
) -> Mapping[str, list[Span]]:
    found: dict[str, list[Span]] = defaultdict(list)
    for some in chunks(dedupes):
        query = sa.select(alerts.c.dedupe, alerts.c.first_match_at, alerts.c.window_end, alerts.c.id).where(
            alerts.c.identity == identity,
            alerts.c.dedupe.in_(some),
            alerts.c.first_match_at <= around.end,
            alerts.c.window_end > around.start,
        )
        for dedupe, first_match_at, window_end, id in connection.execute(query):
            found[dedupe].append(Span(first_match_at, window_end, id))
    return found


def _matches(connection: sa.Connection, ids: Collection[str]) -> dict[str, Match]:
    found: dict[str, Match] = {}
    for some in chunks(ids):
        for row in connection.execute(sa.select(matches).where(matches.c.id.in_(some))):
            answer = Answer(
                title=row.title,
                dedupe=row.dedupe,
                severity=Severity(row.severity),
                destinations=tuple(row.destinations),
                description=row.description,
                runbook=row.runbook,
                context=row.context,
            )
            found[row.id] = Match(row.id, row.event_at, answer, None if row.record is None else json.dumps(row.record))
    return found


def _alerts(connection: sa.Connection, ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    return {
        row["id"]: dict(row)
        for some in chunks(ids)
        for row in connection.execute(sa.select(alerts).where(alerts.c.id.in_(some))).mappings()
    }


def _union(lists: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
