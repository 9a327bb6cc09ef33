"""Recording what a scan found: matches, alerts, deliveries, failures and the checkpoint, in one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trapline.alerts.failures import Failure, set_aside, settle
from trapline.alerts.lifecycle import Moment, Span, assign
from trapline.alerts.notify import notification_of, provenance_to_json
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.outbox import enqueue
from trapline.detection.model import Severity
from trapline.fingerprint import fingerprint
from trapline.state.checkpoints import move_checkpoint
from trapline.state.database import Database
from trapline.state.schema import alerts, matches, scans
from trapline.workers.answer import Answer
from trapline_plugins.api import Kind, Provenance

EXAMPLES = 3  # records that go out with a notification; all of them are in the database
_CHUNK = 500  # SQLite's limit on bound parameters is in the thousands


@dataclass(frozen=True, slots=True)
class Match:
    """A record for which a detection said yes.

    `record` is it as JSON: a scan may have thousands of matches, and holds them until its end. None where a match names
    no record.
    """

    id: str
    event_at: datetime
    answer: Answer
    record: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of it; matches that were known already, by their id, are not new. `settled` counts failures."""

    new_matches: int
    opened: int
    updated: int
    settled: int


def match_id(identity: str, table: str, record_key: str) -> str:
    """A match's identity: one detection, one table, one record, however often and by whichever path it is seen."""
    return _digest(identity, table, record_key)


def record(
    database: Database,
    origin: Origin,
    scan: ScanSummary,
    found: Sequence[Match],
    failed: Sequence[Failure],
    *,
    now: datetime,
    replayed: Collection[str] = (),
) -> Recorded:
    """All of it or nothing: after a crash the checkpoint says exactly which windows are done.

    `replayed` are the ids of earlier failures that this was a replay of: those that did not come again are settled, and
    no checkpoint moves.
    """
    with database.transaction() as connection:
        _insert_scan(connection, scan)
        fresh = _unknown_matches(connection, found)
        _insert_matches(connection, origin, scan, fresh, now)
        by_key: dict[str, list[Match]] = defaultdict(list)
        for match in fresh:
            by_key[match.answer.dedupe].append(match)
        kinds = [
            kind
            for dedupe, group in sorted(by_key.items())
            for kind in _fold(connection, origin, scan, dedupe, group, now)
        ]
        again = set_aside(connection, origin, scan.table, scan.window, failed, now=now)
        settled = set(replayed) - again
        settle(connection, settled, now=now)
        if not replayed:
            move_checkpoint(connection, origin.identity, scan.table, scan.window)
    return Recorded(
        new_matches=len(fresh),
        opened=kinds.count(Kind.OPENED),
        updated=kinds.count(Kind.UPDATED),
        settled=len(settled),
    )


def _fold(
    connection: sa.Connection, origin: Origin, scan: ScanSummary, dedupe: str, group: Sequence[Match], now: datetime
) -> list[Kind]:
    """Brings one dedupe key's new matches into alerts."""
    settings = origin.config.alert
    times = [match.event_at for match in group]
    near = (min(times) - settings.window, max(times) + settings.window)
    key = (matches.c.identity == origin.identity, matches.c.dedupe == dedupe)
    new_ids = {match.id for match in group}
    pending = [
        Moment(row.event_at, row.id)
        for row in connection.execute(
            sa.select(matches.c.id, matches.c.event_at).where(
                *key, matches.c.alert_id.is_(None), matches.c.event_at.between(*near)
            )
        )
        if row.id not in new_ids
    ]
    spans = [
        Span(row.first_match_at, row.id)
        for row in connection.execute(
            sa.select(alerts.c.id, alerts.c.first_match_at).where(
                alerts.c.identity == origin.identity, alerts.c.dedupe == dedupe, alerts.c.first_match_at.between(*near)
            )
        )
    ]
    changed = assign(
        [Moment(match.event_at, match.id) for match in group],
        pending=pending,
        open_spans=spans,
        threshold=settings.threshold,
        window=settings.window,
    )
    return [_apply(connection, origin, scan, dedupe, span, now) for span in changed]


def _apply(
    connection: sa.Connection, origin: Origin, scan: ScanSummary, dedupe: str, span: Span, now: datetime
) -> Kind:
    """Writes one alert's new state and what is to be said about it."""
    joined = sorted(span.joined)
    rows = _match_rows(connection, [moment.match_id for moment in joined])
    before = None
    if span.alert_id:
        before = _alert_row(connection, span.alert_id)
    alert_id = span.alert_id or _digest(origin.identity, dedupe, joined[0].match_id)[:20]
    _set_alert(connection, alert_id, [moment.match_id for moment in joined])
    if before is None:
        connection.execute(alerts.insert().values(_new_alert(alert_id, origin, scan, dedupe, rows, span, now)))
        kind = Kind.OPENED
    else:
        connection.execute(alerts.update().where(alerts.c.id == alert_id).values(_updates(before, rows, now)))
        kind = Kind.UPDATED
    alert = _alert_row(connection, alert_id)
    examples = tuple(row["record"] for row in rows if row["record"] is not None)[:EXAMPLES]
    for destination in alert["destinations"]:
        heard = before is not None and destination in before["destinations"]
        told = Kind.UPDATED if heard else Kind.OPENED
        delivery_id = _digest(alert_id, destination, told, str(alert["match_count"]))[:32]
        enqueue(
            connection,
            notification_of(alert, origin.config, kind=told, delivery_id=delivery_id, records=examples, now=now),
            destination,
            now=now,
        )
    return kind


def _new_alert(
    alert_id: str,
    origin: Origin,
    scan: ScanSummary,
    dedupe: str,
    rows: Sequence[Mapping[str, Any]],
    span: Span,
    now: datetime,
) -> dict[str, Any]:
    first = rows[0]
    provenance = Provenance(
        revision=origin.revision,
        digest=origin.build_digest,
        table=scan.table,
        window_start=scan.window.start,
        window_end=scan.window.end,
        query_id=scan.query_id,
        bytes_scanned=scan.bytes_scanned,
        replay=f"trapline alerts replay {alert_id}",
    )
    return {
        "id": alert_id,
        "identity": origin.identity,
        "detection": origin.config.name,
        "dedupe": dedupe,
        "title": first["title"],
        "severity": _highest(row["severity"] for row in rows),
        "status": "open",
        "destinations": _union(row["destinations"] for row in rows),
        "description": first["description"],
        "runbook": first["runbook"],
        "context": first["context"],
        "match_count": len(rows),
        "first_match_at": first["event_at"],
        "last_match_at": rows[-1]["event_at"],
        "window_end": span.start + origin.config.alert.window,
        "opened_at": now,
        "updated_at": now,
        "provenance": provenance_to_json(provenance),
    }


def _updates(before: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """An alert's severity may rise and its destinations grow; its title and window stay what they were."""
    return {
        "severity": _highest([before["severity"], *(row["severity"] for row in rows)]),
        "destinations": _union([before["destinations"], *(row["destinations"] for row in rows)]),
        "match_count": before["match_count"] + len(rows),
        "last_match_at": max(before["last_match_at"], rows[-1]["event_at"]),
        "updated_at": now,
    }


def _insert_scan(connection: sa.Connection, scan: ScanSummary) -> None:
    # Every detection on a shared scan records itself; the first one writes the scan.
    if connection.execute(sa.select(scans.c.id).where(scans.c.id == scan.query_id)).first():
        return
    connection.execute(
        scans.insert().values(
            id=scan.query_id,
            table_name=scan.table,
            window_start=scan.window.start,
            window_end=scan.window.end,
            started_at=scan.started_at,
            seconds=scan.seconds,
            records=scan.records,
            bytes_scanned=scan.bytes_scanned,
            detections=list(scan.detections),
        )
    )


def _unknown_matches(connection: sa.Connection, found: Sequence[Match]) -> list[Match]:
    known: set[str] = set()
    for chunk in _chunks([match.id for match in found]):
        known |= set(connection.execute(sa.select(matches.c.id).where(matches.c.id.in_(chunk))).scalars())
    # A record can stand in the lake twice; the first of equal ids is the match.
    unique = {match.id: match for match in reversed(found) if match.id not in known}
    return sorted(unique.values(), key=lambda match: (match.event_at, match.id))


def _insert_matches(
    connection: sa.Connection, origin: Origin, scan: ScanSummary, fresh: Sequence[Match], now: datetime
) -> None:
    for start in range(0, len(fresh), _CHUNK):
        rows = [
            {
                "id": match.id,
                "identity": origin.identity,
                "table_name": scan.table,
                "scan_id": scan.query_id,
                "revision": origin.revision,
                "build_digest": origin.build_digest,
                "event_at": match.event_at,
                "found_at": now,
                "dedupe": match.answer.dedupe,
                "title": match.answer.title,
                "severity": match.answer.severity.value,
                "destinations": list(match.answer.destinations),
                "description": match.answer.description,
                "runbook": match.answer.runbook,
                "context": dict(match.answer.context),
                "record": None if match.record is None else json.loads(match.record),
                "alert_id": None,
            }
            for match in fresh[start : start + _CHUNK]
        ]
        connection.execute(matches.insert(), rows)


def _alert_row(connection: sa.Connection, alert_id: str) -> dict[str, Any]:
    return dict(connection.execute(sa.select(alerts).where(alerts.c.id == alert_id)).mappings().one())


def _match_rows(connection: sa.Connection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The matches of one alert, in the order of their ids as given."""
    rows: dict[str, dict[str, Any]] = {}
    for chunk in _chunks(ids):
        for row in connection.execute(sa.select(matches).where(matches.c.id.in_(chunk))).mappings():
            rows[row["id"]] = dict(row)
    return [rows[id] for id in ids]


def _set_alert(connection: sa.Connection, alert_id: str, ids: Sequence[str]) -> None:
    for chunk in _chunks(ids):
        connection.execute(matches.update().where(matches.c.id.in_(chunk)).values(alert_id=alert_id))


def _highest(severities: Iterable[str]) -> str:
    return max((Severity(severity) for severity in severities), key=lambda severity: severity.rank).value


def _union(lists: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def _digest(*parts: str) -> str:
    return fingerprint(*(part.encode() for part in parts))
