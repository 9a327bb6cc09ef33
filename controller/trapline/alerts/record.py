"""Recording what a scan found: matches, alerts, deliveries, failures and the checkpoint, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from trapline.alerts.failures import Failure, set_aside, settle
from trapline.alerts.fold import Change, fold
from trapline.alerts.match import Match
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.resolve import resolve_ended
from trapline.alerts.suppress import suppressed
from trapline.alerts.tell import tell
from trapline.state.bulk import insert_all
from trapline.state.checkpoints import move_checkpoint
from trapline.state.database import Database, chunks
from trapline.state.schema import alerts, matches, scans
from trapline.suppressions import Suppressions
from trapline_plugins.api import Kind


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for all detections. More than `storm` notifications of one in a minute are one notification."""

    suppressions: Suppressions = field(default_factory=Suppressions)
    storm: int = 30


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of it; matches that were known already, by their id, are not new. `settled` counts failures."""

    new_matches: int
    suppressed: int
    opened: int
    updated: int
    resolved: int
    settled: int


DEFAULT_POLICY = Policy()


def record(
    database: Database,
    origin: Origin,
    scan: ScanSummary,
    found: Sequence[Match],
    failed: Sequence[Failure],
    *,
    now: datetime,
    replayed: Collection[str] = (),
    policy: Policy = DEFAULT_POLICY,
    streamed: datetime | None = None,
) -> Recorded:
    """All of it or nothing: after a crash the checkpoint says exactly which windows are done.

    `replayed` are the ids of earlier failures that this was a replay of: those that did not come again are settled, and
    no checkpoint moves. `streamed` is since when the detection sees records as they land: matches of later records that
    are found only now are marked as late.
    """
    with database.transaction() as connection:
        recorded = record_with(
            connection, origin, scan, found, failed, now=now, replayed=replayed, policy=policy, streamed=streamed
        )
        if not replayed:
            move_checkpoint(connection, origin.identity, scan.table, scan.window)
            if origin.config.alert.auto_resolve:
                recorded = replace(recorded, resolved=resolve_ended(connection, origin, now=now))
    return recorded


def record_with(
    connection: sa.Connection,
    origin: Origin,
    scan: ScanSummary,
    found: Sequence[Match],
    failed: Sequence[Failure],
    *,
    now: datetime,
    replayed: Collection[str] = (),
    policy: Policy = DEFAULT_POLICY,
    streamed: datetime | None = None,
) -> Recorded:
    """The same in the caller's transaction, and no checkpoint moves."""
    _insert_scan(connection, scan)
    fresh = _unknown_matches(connection, found)
    quiet = suppressed(origin, fresh, policy.suppressions)
    changes = fold(connection, origin, scan, [match for match in fresh if match.id not in quiet], now=now)
    _insert_matches(connection, origin, scan, fresh, changes, quiet, streamed, now)
    _write(connection, changes)
    tell(connection, origin, scan, changes, most=policy.storm, now=now)
    again = set_aside(connection, origin, scan.table, scan.window, failed, now=now)
    settled = set(replayed) - again
    settle(connection, settled, now=now)
    kinds = [change.kind for change in changes]
    return Recorded(
        new_matches=len(fresh),
        suppressed=len(quiet),
        opened=kinds.count(Kind.OPENED),
        updated=kinds.count(Kind.UPDATED),
        resolved=0,
        settled=len(settled),
    )


def _write(connection: sa.Connection, changes: Sequence[Change]) -> None:
    """The alerts as they are now, all new ones at once."""
    insert_all(connection, alerts, [change.after for change in changes if change.before is None])
    columns = {column.name: sa.bindparam(f"new_{column.name}", type_=column.type) for column in alerts.columns}
    update = alerts.update().where(alerts.c.id == sa.bindparam("of")).values(columns)
    if changed := [change.after for change in changes if change.before is not None]:
        rows = [{"of": row["id"], **{f"new_{name}": row[name] for name in columns}} for row in changed]
        connection.execute(update, rows)


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
    for chunk in chunks([match.id for match in found]):
        known |= set(connection.execute(sa.select(matches.c.id).where(matches.c.id.in_(chunk))).scalars())
    # A record can stand in the lake twice; the first of equal ids is the match.
    unique = {match.id: match for match in reversed(found) if match.id not in known}
    return sorted(unique.values(), key=lambda match: (match.event_at, match.id))


def _insert_matches(
    connection: sa.Connection,
    origin: Origin,
    scan: ScanSummary,
    fresh: Sequence[Match],
    changes: Sequence[Change],
    quiet: Mapping[str, str],
    streamed: datetime | None,
    now: datetime,
) -> None:
    """The new matches with the alerts that they joined; and those that waited for their alert until now."""
    joined = {match.id: str(change.after["id"]) for change in changes for match in change.joined}
    named = {names: json.dumps(names) for names in {match.answer.destinations for match in fresh}}
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
            "destinations": named[match.answer.destinations],
            "description": match.answer.description,
            "runbook": match.answer.runbook,
            "context": match.answer.context,
            "record": match.record,
            "alert_id": joined.pop(match.id, None),
            "suppressed_by": quiet.get(match.id),
            # A conclusion that names no record may have had its like by the stream: nobody can tell that it was missed.
            "late": None if streamed is None or match.record is None else match.event_at >= streamed,
        }
        for match in fresh
    ]
    insert_all(connection, matches, rows)
    if joined:
        update = matches.update().where(matches.c.id == sa.bindparam("of")).values(alert_id=sa.bindparam("to"))
        connection.execute(update, [{"of": match, "to": alert} for match, alert in joined.items()])
