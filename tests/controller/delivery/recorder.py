"""A clock moved by hand, and a destination that does as it is told: what the tests of delivery share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from trapline.state.database import Database
from trapline.state.schema import alerts, deliveries
from trapline_plugins.api import Delivered, Destination, DestinationConfig, Notification, Outcome, Tools, Unknown


class Clock:
    """The time, moved by hand. It starts at the machine's: signatures are checked against that."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


class Recorder(Destination[DestinationConfig]):
    """Does what the test says, and remembers what it was asked."""

    kind = "recorder"
    config_model = DestinationConfig

    def __init__(self, does: Callable[[Notification], Any] = lambda _: Delivered(), *, found: Any = None) -> None:
        super().__init__("recorder", DestinationConfig(), Tools(httpx.Client(trust_env=False), Clock(), pytest.fail))
        self.does, self.found = does, found
        self.sent: list[str] = []
        self.refs: list[str] = []
        self.looked_up: list[str] = []

    def render(self, notification: Notification) -> str:
        return notification.title

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        self.sent.append(notification.delivery_id)
        self.refs.append(ref)
        outcome: Outcome = self.does(notification)
        return outcome

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        self.looked_up.append(notification.delivery_id)
        if isinstance(self.found, Exception):
            raise self.found
        found: Delivered | None = self.found
        return found


def ensure_alert(connection: sa.Connection, id: str, now: datetime) -> None:
    """An alert for deliveries to be about."""
    if connection.execute(sa.select(alerts.c.id).where(alerts.c.id == id)).first():
        return
    texts = dict.fromkeys(("identity", "detection", "dedupe", "title", "severity", "status"), "x")
    at = dict.fromkeys(("first_match_at", "last_match_at", "window_end", "opened_at", "updated_at"), now)
    rest = {"destinations": [], "context": {}, "provenance": {}, "match_count": 1}
    connection.execute(alerts.insert().values(id=id, **texts, **at, **rest))


def row(database: Database, id: str) -> Any:
    """A delivery, as it is in the database."""
    with database.reading() as connection:
        return connection.execute(sa.select(deliveries).where(deliveries.c.id == id)).one()


def state(database: Database, id: str) -> tuple[str, int]:
    """A delivery's state and attempts."""
    found = row(database, id)
    return found.state, found.attempts
