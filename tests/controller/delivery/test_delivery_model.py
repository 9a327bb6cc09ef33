"""Whatever fails, is killed or comes back when: everything arrives, in order, and nothing is given up for an outage."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.controller.delivery.recorder import Clock, ensure_alert
from trapline.delivery.router import Router
from trapline.outbox.circuit import load_circuits
from trapline.outbox.queue import enqueue
from trapline.state.database import Database
from trapline.state.schema import deliveries
from trapline_plugins.api import (
    Delivered,
    Destination,
    DestinationConfig,
    Notification,
    Outcome,
    Retry,
    Tools,
    Unknown,
)
from trapline_plugins.samples import a_notification

ALERTS = ["a", "b", "c"]


class Mode(StrEnum):
    """How another side behaves."""

    WELL = "well"
    DOWN = "down"
    BUSY = "busy"
    LOSES_REQUESTS = "loses requests"
    LOSES_ANSWERS = "loses answers"


class OtherSide(Destination[DestinationConfig]):
    """Takes notifications, or does not; one that `tells` can be asked what it has."""

    kind = "other"
    config_model = DestinationConfig

    def __init__(self, name: str, clock: Clock, *, tells: bool) -> None:
        super().__init__(name, DestinationConfig(), Tools(httpx.Client(trust_env=False), clock, pytest.fail))
        self.mode = Mode.WELL
        self.tells = tells
        self.taken: dict[str, list[str]] = defaultdict(list)

    def render(self, notification: Notification) -> str:
        return notification.title

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        if self.mode is Mode.DOWN:
            return Retry("down")
        if self.mode is Mode.BUSY:
            return Retry("busy", after=timedelta(minutes=30))
        if self.mode is not Mode.LOSES_REQUESTS:
            self.taken[notification.alert_id].append(notification.delivery_id)
        return Delivered("ref") if self.mode is Mode.WELL else Unknown("no answer")

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        if self.mode is not Mode.WELL:
            return Unknown("cannot be asked now")
        there = self.tells and notification.delivery_id in self.taken[notification.alert_id]
        return Delivered("ref") if there else None


class DiskFull(Exception):
    """Stands for what a database raises that cannot write."""


class Fragile(Database):
    """A database whose disk is full at times."""

    full = False

    @classmethod
    def in_home(cls, home: Path) -> Fragile:
        return cls(f"sqlite:///{home / 'trapline.db'}")

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        with super().transaction() as connection:
            yield connection
            if self.full:
                raise DiskFull


class Delivery(RuleBasedStateMachine):
    """Two other sides, of which one can be asked what it has."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.database = Fragile.in_home(Path(self.folder.name))
        self.clock = Clock()
        self.sides = {name: OtherSide(name, self.clock, tells=name == "tells") for name in ("tells", "silent")}
        self.queued: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.router = self._start()

    def _start(self) -> Router:
        return Router(self.database, self.sides, now=self.clock, random=lambda: 0.5)

    @initialize()
    def begin(self) -> None:
        with self.database.transaction() as connection:
            for alert in ALERTS:
                ensure_alert(connection, alert, self.clock())

    @rule(alert=st.sampled_from(ALERTS), count=st.integers(1, 4))
    def happen(self, alert: str, count: int) -> None:
        with self.database.transaction() as connection:
            for name in self.sides:
                for _ in range(count):
                    known = self.queued[name, alert]
                    known.append(f"{name}-{alert}-{len(known)}")
                    notification = a_notification(delivery_id=known[-1], alert_id=alert)
                    enqueue(connection, notification, name, now=self.clock())

    @rule(name=st.sampled_from(["tells", "silent"]), mode=st.sampled_from(Mode))
    def behave(self, name: str, mode: Mode) -> None:
        self.sides[name].mode = mode

    @rule(seconds=st.sampled_from([1, 10, 60, 600, 3600, 86_400]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule()
    def take_a_turn(self) -> None:
        """What it starts comes to an end, and is written down by the next turn, or never."""
        self.router.turn()
        _until_quiet()

    @rule()
    def be_killed_after_sending(self) -> None:
        self.router.turn()
        _until_quiet()
        self.router = self._start()

    @rule()
    def be_killed_before_sending(self) -> None:
        """Everything is claimed, and nothing leaves."""
        modes = {side: side.mode for side in self.sides.values()}
        for side in modes:
            side.mode = Mode.LOSES_REQUESTS
        self.be_killed_after_sending()
        for side, mode in modes.items():
            side.mode = mode

    @rule()
    def fail_to_write(self) -> None:
        """The disk is full just now; what came of what was sent is not forgotten."""
        self.database.full = True
        with suppress(DiskFull):
            self.router.turn()
        self.database.full = False

    @invariant()
    def each_alert_is_told_in_order(self) -> None:
        for name, side in self.sides.items():
            for alert, taken in side.taken.items():
                known = self.queued[name, alert]
                order = [known.index(id) for id in taken]
                assert order == sorted(order)
                assert sorted(set(order)) == list(range(len(set(order)))), "one was passed over"
                if side.tells:
                    assert len(set(taken)) == len(taken), "it could have been asked"

    @invariant()
    def nothing_is_given_up(self) -> None:
        assert "dead" not in {row.state for row in self._rows()}

    def teardown(self) -> None:
        for side in self.sides.values():
            side.mode = Mode.WELL
        for _ in range(sum(map(len, self.queued.values())) + 10):
            self.clock.advance(hours=1)
            self.router.deliver()
        assert {row.state for row in self._rows()} <= {"delivered"}
        for (name, alert), known in self.queued.items():
            assert set(self.sides[name].taken[alert]) == set(known)
        with self.database.reading() as connection:
            assert load_circuits(connection) == {}
        self.database.close()
        self.folder.cleanup()

    def _rows(self) -> list[Any]:
        with self.database.reading() as connection:
            return list(connection.execute(sa.select(deliveries).order_by(deliveries.c.sequence)).all())


def _until_quiet() -> None:
    while any(thread.name.startswith("delivery to ") for thread in threading.enumerate()):
        time.sleep(0.001)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
