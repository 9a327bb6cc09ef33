"""Trapline's own troubles, told as alerts like any other, so that somebody hears of them.

An alarm is an alert of the identity `trapline`, known by its kind (such as `quarantined`) and its subject (such as a
detection's identity). It is open from when it is first raised until it is settled; being raised again meanwhile is
counted, and told at most once in `REMIND_AFTER`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from trapline.alerts.notify import delivery_id_of, notification_of, provenance_to_json
from trapline.alerts.resolve import resolve
from trapline.detection.model import OWN_IDENTITY, Severity
from trapline.outbox.queue import enqueue
from trapline.state.schema import alerts
from trapline_plugins.api import Kind, Provenance
from trapline_plugins.text import cut, one_line, plain, well_formed

REMIND_AFTER = timedelta(hours=1)
"""How long nothing more is said to those who know of an alarm, however often it is raised."""

_LONGEST_TITLE = 300
_LONGEST_TEXT = 10_000

log = logging.getLogger("trapline")


def raise_alarm(
    connection: sa.Connection,
    *,
    kind: str,
    subject: str,
    title: str,
    description: str,
    severity: Severity,
    runbook: str | None,
    destinations: Sequence[str],
    context: Mapping[str, Any],
    replay: str,
    now: datetime,
    revision: str = "",
    digest: str = "",
) -> str:
    """Opens an alarm, or counts it where it is open already, in the caller's transaction; returns the alert's id.

    `replay` is the command that shows more; `revision` and `digest` are the detection's, where it concerns one. Texts
    may have been written by anybody. Without `destinations` the alarm is logged and listed, and delivered nowhere.
    """
    names = list(dict.fromkeys(destinations))
    news = {
        "severity": severity.value,
        "description": _storable(description),
        "context": plain(context),
        "last_match_at": now,
    }
    known = _open_alarm(connection, kind, subject)
    if known is not None:
        return _count(connection, known, news, names, now)
    provenance = Provenance(
        revision=revision,
        digest=digest,
        table="",
        window_start=now,
        window_end=now,
        query_id="",
        bytes_scanned=0,
        replay=replay,
    )
    alert = {
        **news,
        "id": uuid.uuid4().hex[:20],
        "identity": OWN_IDENTITY,
        "detection": OWN_IDENTITY,
        "dedupe": _dedupe(kind, subject),
        "title": one_line(title, _LONGEST_TITLE),
        "status": "open",
        "destinations": names,
        "runbook": runbook and _storable(runbook),
        "match_count": 1,
        "first_match_at": now,
        "window_end": now,
        "opened_at": now,
        "updated_at": now,
        "provenance": provenance_to_json(provenance),
    }
    connection.execute(alerts.insert().values(alert))
    _tell(connection, alert, dict.fromkeys(names, Kind.OPENED), now)
    log.warning("%s (%s)", alert["title"], replay)
    return str(alert["id"])


def settle_alarm(connection: sa.Connection, *, kind: str, subject: str, now: datetime) -> str | None:
    """Resolves an alarm that is open, in the caller's transaction, and tells those who heard of it.

    Returns the alert's id; None where no such alarm was open.
    """
    known = _open_alarm(connection, kind, subject)
    if known is None:
        return None
    resolve(connection, known, by=OWN_IDENTITY, reason="it is over", now=now)
    log.info("resolved: %s", known["title"])
    return str(known["id"])


def open_alarms(connection: sa.Connection, *, kind: str) -> list[str]:
    """The subjects of the alarms of a kind that are open, oldest first."""
    prefix = _dedupe(kind, "")
    query = sa.select(alerts.c.dedupe).where(
        alerts.c.identity == OWN_IDENTITY,
        sa.func.substr(alerts.c.dedupe, 1, len(prefix)) == prefix,  # LIKE would not mind the case
        alerts.c.status == "open",
    )
    found = connection.execute(query.order_by(alerts.c.opened_at, alerts.c.id)).scalars()
    return [dedupe.removeprefix(prefix) for dedupe in found]


def _count(
    connection: sa.Connection, known: Mapping[str, Any], news: Mapping[str, Any], names: Sequence[str], now: datetime
) -> str:
    """One time more: whoever has not heard of it does so now, the others once it is time to remind them."""
    kinds = {name: Kind.UPDATED if name in known["destinations"] else Kind.OPENED for name in names}
    remind = now - known["updated_at"] >= REMIND_AFTER
    if not remind:
        kinds = {name: kind for name, kind in kinds.items() if kind is Kind.OPENED}
    changes = {
        **news,
        "severity": max(Severity(known["severity"]), Severity(news["severity"]), key=lambda s: s.rank).value,
        "destinations": list(dict.fromkeys([*known["destinations"], *names])),
        "match_count": known["match_count"] + 1,
        "updated_at": now if remind else known["updated_at"],
    }
    alert = _change(connection, known, changes)
    _tell(connection, alert, kinds, now)
    return str(alert["id"])


def _open_alarm(connection: sa.Connection, kind: str, subject: str) -> dict[str, Any] | None:
    query = sa.select(alerts).where(
        alerts.c.identity == OWN_IDENTITY, alerts.c.dedupe == _dedupe(kind, subject), alerts.c.status == "open"
    )
    row = connection.execute(query).mappings().first()
    return dict(row) if row else None


def _change(connection: sa.Connection, alert: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    connection.execute(alerts.update().where(alerts.c.id == alert["id"]).values(**changes))
    return {**alert, **changes}


def _tell(connection: sa.Connection, alert: Mapping[str, Any], kinds: Mapping[str, Kind], now: datetime) -> None:
    for destination, kind in kinds.items():
        delivery_id = delivery_id_of(alert, destination, kind)
        said = notification_of(alert, None, kind=kind, delivery_id=delivery_id, records=(), now=now)
        enqueue(connection, said, destination, now=now)


def _dedupe(kind: str, subject: str) -> str:
    return f"{kind}:{subject}"


def _storable(text: str) -> str:
    """The text at a length that everybody takes, without what a database refuses: NULs and lone surrogates."""
    return well_formed(cut(text, _LONGEST_TEXT)).replace("\0", "")
