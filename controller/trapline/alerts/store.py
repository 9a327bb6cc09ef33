"""Reading alerts back, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from trapline.errors import TraplineError
from trapline.state.database import Database
from trapline.state.schema import alerts, deliveries, matches


def list_alerts(
    database: Database,
    *,
    detection: str | None = None,
    status: str | None = None,
    storm: str | None = None,
    limit: int = 100,
) -> Sequence[Mapping[str, Any]]:
    """The newest alerts, as rows of the table `alerts`; of one detection, status or storm where these are given."""
    query = sa.select(alerts).order_by(alerts.c.last_match_at.desc(), alerts.c.id).limit(limit)
    for column, wanted in ((alerts.c.detection, detection), (alerts.c.status, status), (alerts.c.storm_id, storm)):
        if wanted is not None:
            query = query.where(column == wanted)
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def find_alert(database: Database, prefix: str) -> Mapping[str, Any]:
    """The one alert whose id starts so. Raises TraplineError where none or several do."""
    with database.reading() as connection:
        return alert_of(connection, prefix)


def alert_of(connection: sa.Connection, prefix: str) -> Mapping[str, Any]:
    """The same, in the caller's transaction."""
    query = sa.select(alerts).where(alerts.c.id.startswith(prefix, autoescape=True)).limit(2)
    rows = connection.execute(query).mappings().all()
    if len(rows) == 1:
        return dict(rows[0])
    problem = "several alerts have an id that starts" if rows else "no alert has an id that starts"
    raise TraplineError(f"{problem} with {prefix!r}", remedy="see `trapline alerts list`")


def matches_of(database: Database, alert_id: str) -> Sequence[Mapping[str, Any]]:
    """An alert's matches in the order of their events, as rows of the table `matches`."""
    query = sa.select(matches).where(matches.c.alert_id == alert_id).order_by(matches.c.event_at, matches.c.id)
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def without_content(delivery: Mapping[str, Any]) -> dict[str, Any]:
    """A delivery as a listing has it: the notification repeats the alert that it is about."""
    return {name: value for name, value in delivery.items() if name != "notification"}


def deliveries_of(database: Database, alert_id: str) -> Sequence[Mapping[str, Any]]:
    """What was said about an alert, to whom, and what came of it, in order; rows of the table `deliveries`."""
    query = sa.select(deliveries).where(deliveries.c.alert_id == alert_id).order_by(deliveries.c.sequence)
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def list_matches(
    database: Database, *, identity: str | None = None, suppressed: bool | None = None, limit: int = 100
) -> Sequence[Mapping[str, Any]]:
    """The newest matches, as rows of the table `matches`; of one detection, or those (not) suppressed, where asked."""
    query = sa.select(matches).order_by(matches.c.event_at.desc(), matches.c.id).limit(limit)
    if identity is not None:
        query = query.where(matches.c.identity == identity)
    if suppressed is not None:
        query = query.where(matches.c.suppressed_by.is_not(None) if suppressed else matches.c.suppressed_by.is_(None))
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def suppressed_counts(database: Database) -> Mapping[str, int]:
    """How many matches each suppression kept out of alerts, by its id."""
    query = sa.select(matches.c.suppressed_by, sa.func.count()).where(matches.c.suppressed_by.is_not(None))
    with database.reading() as connection:
        return dict(connection.execute(query.group_by(matches.c.suppressed_by)).all())
