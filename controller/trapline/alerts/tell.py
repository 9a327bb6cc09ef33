"""What is said of alerts that have changed, and to whom: written to the outbox in the caller's transaction.

Where a detection would say more to a destination within a minute than somebody can read, it is a storm, and one
notification stands for all of it (`storm.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from trapline.alerts.fold import Change
from trapline.alerts.notify import delivery_id_of, notification_of
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.storm import tell_of_storm
from trapline.detection.model import Severity
from trapline.outbox.queue import decode, enqueue, enqueue_all
from trapline.state.schema import alerts, deliveries
from trapline_plugins.api import Kind, Notification

EXAMPLES = 3
"""Records that go out with a notification; all of them are in the database."""

A_MINUTE = timedelta(minutes=1)


def tell(
    connection: sa.Connection,
    origin: Origin,
    scan: ScanSummary,
    changes: Sequence[Change],
    *,
    most: int,
    now: datetime,
) -> None:
    """Says of each changed alert what it has become; of more than `most` in a minute, in one for all."""
    wanted: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.kind is not None:
            for destination in change.after["destinations"]:
                wanted[destination].append(change)
    if not wanted:
        return
    lately = _said_lately(connection, origin.identity, now)
    storm = {name: _too_many(group, most - lately.get(name, 0)) for name, group in wanted.items()}
    among_many = {(name, change.after["id"]) for name, group in storm.items() for change in group}
    said: list[tuple[Notification, str]] = []
    hears = alerts.update().where(alerts.c.id == sa.bindparam("of")).values(told=sa.bindparam("to"), told_at=now)
    heard: list[dict[str, Any]] = []
    for change in changes:
        names = [name for name in change.after["destinations"] if (name, change.after["id"]) not in among_many]
        if change.kind is not None and names:
            said += _words(origin, change, names, now)
            heard.append({"of": change.after["id"], "to": list(dict.fromkeys([*_told_before(change), *names]))})
    if said:
        connection.execute(hears, heard)
        enqueue_all(connection, said, now=now)
    if among_many:
        tell_of_storm(connection, origin, scan, {name: group for name, group in storm.items() if group}, now=now)


def tell_resolved(connection: sa.Connection, alert: Mapping[str, Any], *, now: datetime) -> None:
    """Says to those who heard of an alert that it is over. `alert` is its row of the table `alerts`, resolved."""
    heard = told(alert)
    last = _last_said(connection, alert["id"]) if heard else None
    for destination in heard:
        delivery_id = delivery_id_of(alert, destination, Kind.RESOLVED, now.isoformat())
        said = notification_of(alert, None, kind=Kind.RESOLVED, delivery_id=delivery_id, records=(), now=now)
        if last is not None:  # what is not in the row
            said = replace(
                said,
                references=last.references,
                false_positives=last.false_positives,
                attack=last.attack,
                tags=last.tags,
                records=last.records,
            )
        enqueue(connection, said, destination, now=now)


def told(alert: Mapping[str, Any]) -> Sequence[str]:
    """The destinations that heard of an alert by itself, and not only as one of many."""
    names: Sequence[str] = alert["destinations"] if alert["told"] is None else alert["told"]
    return names


def _too_many(group: Sequence[Change], room: int) -> list[Change]:
    """Those that there is no room for: from the highest severity down all alerts of it are told, or none.

    So nothing that is worse drowns in a storm.
    """
    rest = list(group)
    for severity in reversed(Severity):
        worst = [change for change in rest if change.after["severity"] == severity.value]
        if len(worst) > room:
            break
        room -= len(worst)
        rest = [change for change in rest if change.after["severity"] != severity.value]
    return rest


def _words(
    origin: Origin, change: Change, destinations: Sequence[str], now: datetime
) -> Iterator[tuple[Notification, str]]:
    """What each of these destinations is told of a change."""
    alert, heard = change.after, _told_before(change)
    records = [match.record for match in change.joined if match.record is not None][:EXAMPLES]
    examples = tuple(json.loads(record) for record in records)
    for destination in destinations:
        kind = Kind.UPDATED if destination in heard else Kind.OPENED
        delivery_id = delivery_id_of(alert, destination, kind)
        said = notification_of(alert, origin.config, kind=kind, delivery_id=delivery_id, records=examples, now=now)
        yield said, destination


def _told_before(change: Change) -> Sequence[str]:
    return told(change.before) if change.before else ()


def _said_lately(connection: sa.Connection, identity: str, now: datetime) -> dict[str, int]:
    """How much was said to each destination of a detection's alerts, one by one, within the last minute."""
    query = (
        sa.select(deliveries.c.destination, sa.func.count())
        .select_from(alerts.join(deliveries, deliveries.c.alert_id == alerts.c.id))
        .where(alerts.c.identity == identity, alerts.c.told_at > now - A_MINUTE)
        .where(deliveries.c.created_at > now - A_MINUTE)
        .group_by(deliveries.c.destination)
    )
    return dict(connection.execute(query).all())


def _last_said(connection: sa.Connection, alert_id: str) -> Notification | None:
    """The last notification about an alert: with its examples, and what the detection's file said then."""
    query = sa.select(deliveries.c.notification).where(deliveries.c.alert_id == alert_id)
    payload = connection.execute(query.order_by(deliveries.c.sequence.desc()).limit(1)).scalar()
    try:
        return decode(payload) if payload else None
    except ValueError:  # another version of Trapline wrote it
        return None
