"""Storms: where one detection has more to say at once than anybody reads, one notification stands for all of it.

A storm is an alert of Trapline's own about a detection. Each alert in it is in the database as always, and knows its
storm. A destination hears of a storm at most once a minute: what comes sooner changes what waits to be said.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from trapline.alerts.fold import Change, highest
from trapline.alerts.notify import delivery_id_of, notification_of, provenance_of, provenance_to_json
from trapline.alerts.origin import Origin, ScanSummary
from trapline.detection.model import OWN_IDENTITY, Severity
from trapline.outbox.queue import State, encode, enqueue
from trapline.state.database import chunks
from trapline.state.schema import alerts, deliveries
from trapline_plugins.api import Kind
from trapline_plugins.text import one_line

PAUSE = timedelta(minutes=1)
"""How long a destination hears nothing more of a storm."""

_WHAT = "So many alerts of one detection at once are told in one. Each of them is kept, and can be looked at."
_EXAMPLES = 10
_NAMED = 3
_LONGEST_TITLE = 300
_LONGEST_NAME = 60

log = logging.getLogger("trapline")


def tell_of_storm(
    connection: sa.Connection,
    origin: Origin,
    scan: ScanSummary,
    storm: Mapping[str, Sequence[Change]],
    *,
    now: datetime,
) -> None:
    """Brings changed alerts, by who would hear of each, into the detection's storm, and tells of it."""
    changes = list({change.after["id"]: change for group in storm.values() for change in group}.values())
    before = _open_storm(connection, origin.identity, now)
    alert = before or _begun(origin, scan, now)
    alert = {**alert, **_grown(alert, origin, storm, changes, now)}
    if before is None:
        connection.execute(alerts.insert().values(alert))
        log.warning("%s (%s)", alert["title"], alert["provenance"]["replay"])
    else:
        connection.execute(alerts.update().where(alerts.c.id == alert["id"]).values(alert))
    for ids in chunks([change.after["id"] for change in changes]):
        connection.execute(alerts.update().where(alerts.c.id.in_(ids)).values(storm_id=alert["id"]))
    for destination in storm:
        _tell(connection, origin, alert, destination, now)


def members(connection: sa.Connection, storm_id: str) -> list[Mapping[str, Any]]:
    """The open alerts in a storm, as rows of the table `alerts`."""
    query = sa.select(alerts).where(alerts.c.storm_id == storm_id, alerts.c.status == "open")
    return [dict(row) for row in connection.execute(query.order_by(alerts.c.opened_at, alerts.c.id)).mappings()]


def ended_storms(connection: sa.Connection, identity: str, now: datetime) -> list[Mapping[str, Any]]:
    """The open storms of a detection that nothing comes to any more, as rows of the table `alerts`."""
    query = _storms(identity).where(alerts.c.window_end <= now)
    return [dict(row) for row in connection.execute(query).mappings()]


def _open_storm(connection: sa.Connection, identity: str, now: datetime) -> Mapping[str, Any] | None:
    row = connection.execute(_storms(identity).where(alerts.c.window_end > now)).mappings().first()
    return dict(row) if row else None


def _storms(identity: str) -> sa.Select[Any]:
    ours = (alerts.c.identity == OWN_IDENTITY, alerts.c.dedupe == _dedupe(identity))
    return sa.select(alerts).where(*ours, alerts.c.status == "open")


def _begun(origin: Origin, scan: ScanSummary, now: datetime) -> dict[str, Any]:
    id = uuid.uuid4().hex[:20]
    provenance = provenance_of(origin, scan, replay=f"trapline alerts list --storm {id}")
    return {
        "id": id,
        "identity": OWN_IDENTITY,
        "detection": origin.config.name,
        "dedupe": _dedupe(origin.identity),
        "severity": Severity.INFO.value,
        "status": "open",
        "destinations": [],
        "description": "\n\n".join(filter(None, (_WHAT, origin.config.description))),
        "runbook": origin.config.runbook,
        "context": {"alerts": 0, "matches": 0, "severities": {}, "examples": [], "destinations": {}},
        "first_match_at": now,
        "last_match_at": now,
        "opened_at": now,
        "provenance": provenance_to_json(provenance),
    }


def _grown(
    alert: Mapping[str, Any],
    origin: Origin,
    storm: Mapping[str, Sequence[Change]],
    changes: Sequence[Change],
    now: datetime,
) -> dict[str, Any]:
    """What of a storm's row these changes make otherwise."""
    known = alert["context"]
    new = [change for change in changes if _is_new(change, alert["id"])]
    context = {
        "alerts": known["alerts"] + len(new),
        "matches": known["matches"] + _joined(changes),
        "severities": dict(Counter(known["severities"]) + Counter(change.after["severity"] for change in new)),
        "examples": [*known["examples"], *map(_example, _worst_first(new))][:_EXAMPLES],
        "destinations": {
            **known["destinations"],
            **{name: _count(alert, name, group) for name, group in storm.items()},
        },
    }
    names = list(dict.fromkeys([*alert["destinations"], *storm]))
    times = [match.event_at for change in changes for match in change.joined]
    return {
        "context": context,
        "title": _title(origin, context["alerts"]),
        "severity": highest(Severity(severity) for severity in (alert["severity"], *context["severities"])),
        "destinations": names,
        "told": names,
        "told_at": now,
        "match_count": context["matches"],
        "first_match_at": min([*times, alert["first_match_at"]]),
        "last_match_at": max([*times, alert["last_match_at"]]) if known["alerts"] else max(times),
        "window_end": now + origin.config.alert.window,
        "updated_at": now,
    }


def _count(alert: Mapping[str, Any], destination: str, group: Sequence[Change]) -> dict[str, int]:
    known = alert["context"]["destinations"].get(destination, {"alerts": 0, "matches": 0})
    new = sum(_is_new(change, alert["id"]) for change in group)
    return {"alerts": known["alerts"] + new, "matches": known["matches"] + _joined(group)}


def _tell(connection: sa.Connection, origin: Origin, alert: Mapping[str, Any], destination: str, now: datetime) -> None:
    last = _last_delivery(connection, alert["id"], destination)
    kind = Kind.UPDATED if last else Kind.OPENED
    waiting = last is not None and last.state == State.PENDING.value and last.attempts == 0
    if last is not None and waiting:
        kind, delivery_id = Kind(last.kind), last.id
    else:
        delivery_id = delivery_id_of(alert, destination, kind, now.isoformat())
    context = alert["context"]
    counts = context["destinations"][destination]
    said = replace(
        notification_of(alert, origin.config, kind=kind, delivery_id=delivery_id, records=(), now=now),
        title=_title(origin, counts["alerts"]),
        dedupe=_named(context["examples"], counts["alerts"]),
        match_count=counts["matches"],
        context={**counts, "severities": context["severities"], "worst": _shown(context["examples"])},
    )
    if last is not None and waiting:
        connection.execute(deliveries.update().where(deliveries.c.id == last.id).values(notification=encode(said)))
        return
    not_before = now
    if last is not None:
        not_before = max(now, (last.settled_at or now) + PAUSE)
    enqueue(connection, said, destination, now=now, not_before=not_before)


def _last_delivery(connection: sa.Connection, alert_id: str, destination: str) -> sa.Row[Any] | None:
    query = sa.select(deliveries).where(deliveries.c.alert_id == alert_id, deliveries.c.destination == destination)
    return connection.execute(query.order_by(deliveries.c.sequence.desc()).limit(1)).first()


def _is_new(change: Change, storm_id: str) -> bool:
    return change.before is None or change.before["storm_id"] != storm_id


def _joined(changes: Iterable[Change]) -> int:
    return sum(len(change.joined) for change in changes)


def _worst_first(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: -Severity(change.after["severity"]).rank)[:_EXAMPLES]


def _example(change: Change) -> dict[str, Any]:
    return {name: change.after[name] for name in ("severity", "title", "dedupe", "match_count")}


def _named(examples: Sequence[Mapping[str, Any]], count: int) -> str:
    """Whom it is about: some by their dedupe keys, and how many more."""
    names = [one_line(one["dedupe"], _LONGEST_NAME) for one in examples[:_NAMED]]
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return ", ".join(names) + more


def _shown(examples: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each on a line of its own where evidence is laid out."""
    return {str(n): f"{one['severity']}: {one['title']} ({one['match_count']})" for n, one in enumerate(examples, 1)}


def _title(origin: Origin, count: int) -> str:
    return one_line(f"{count:,} alerts at once: {origin.config.display_name or origin.config.name}", _LONGEST_TITLE)


def _dedupe(identity: str) -> str:
    return f"storm:{identity}"
