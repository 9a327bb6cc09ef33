"""An outbox that is written to and delivered from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controller.delivery.recorder import Clock, ensure_alert
from trapline.delivery.report import DeliveryReport
from trapline.delivery.router import Router
from trapline.outbox.queue import enqueue
from trapline.state.database import Database
from trapline_plugins.api import Destination, Kind
from trapline_plugins.samples import a_notification


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_home(tmp_path)
    yield database
    database.close()


@pytest.fixture
def put(database: Database, clock: Clock) -> Callable[..., None]:
    def put(id: str, *, alert: str = "a", to: str = "hook", kind: Kind = Kind.OPENED) -> None:
        with database.transaction() as connection:
            ensure_alert(connection, alert, clock())
            notification = a_notification(delivery_id=id, alert_id=alert, kind=kind)
            enqueue(connection, notification, to, now=clock())

    return put


@pytest.fixture
def deliver(database: Database, clock: Clock) -> Callable[..., DeliveryReport]:
    """One pass, as a process that was just started makes it."""

    def deliver(**destinations: Destination[Any]) -> DeliveryReport:
        return Router(database, destinations, now=clock, random=lambda: 0.5).deliver()

    return deliver
