"""Alerts that are over: because somebody says so, or because their window is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trapline.alerts.origin import Origin
from trapline.alerts.store import alert_of
from trapline.alerts.storm import ended_storms, members
from trapline.alerts.tell import tell_resolved
from trapline.detection.model import OWN_IDENTITY
from trapline.state.checkpoints import seen_until
from trapline.state.database import Database
from trapline.state.schema import alerts

_WINDOW_OVER = "its window is over"


def resolve_alert(
    database: Database, prefix: str, *, by: str, reason: str, now: datetime
) -> tuple[Mapping[str, Any], int]:
    """Resolves the alert whose id starts so, and all alerts of a storm with it; tells who heard of them.

    Returns its row and how many alerts were resolved: none where it was resolved already, which changes nothing. Raises
    TraplineError where none or several ids start so.
    """
    with database.transaction() as connection:
        alert = alert_of(connection, prefix)
        if alert["status"] != "open":
            return alert, 0
        storm = members(connection, alert["id"])
        for one in (alert, *storm):
            resolve(connection, one, by=by, reason=reason, now=now)
        return alert_of(connection, alert["id"]), 1 + len(storm)


def resolve(connection: sa.Connection, alert: Mapping[str, Any], *, by: str, reason: str, now: datetime) -> None:
    """Resolves an open alert, in the caller's transaction, and says so to whoever heard of it.

    Its window ends here: what happens from now on is another alert, what happened before joins it without a word.
    """
    end = max(min(alert["window_end"], now), alert["last_match_at"])
    news = {
        "status": "resolved",
        "resolved_at": now,
        "resolved_by": by,
        "resolution": reason,
        "window_end": end,
        "updated_at": now,
    }
    connection.execute(alerts.update().where(alerts.c.id == alert["id"]).values(**news))
    tell_resolved(connection, {**alert, **news}, now=now)


def resolve_ended(connection: sa.Connection, origin: Origin, *, now: datetime) -> int:
    """Resolves the alerts of a detection whose window all of its tables were seen beyond, and its storms that are over.

    Returns how many.
    """
    seen = seen_until(connection, origin.identity, origin.config.tables)
    if seen is None:
        return 0
    over = sa.select(alerts).where(
        alerts.c.identity == origin.identity, alerts.c.status == "open", alerts.c.window_end <= seen
    )
    found = connection.execute(over.order_by(alerts.c.window_end, alerts.c.id)).mappings()
    rows = [*map(dict, found), *ended_storms(connection, origin.identity, now)]
    for row in rows:
        resolve(connection, row, by=OWN_IDENTITY, reason=_WINDOW_OVER, now=now)
    return len(rows)
