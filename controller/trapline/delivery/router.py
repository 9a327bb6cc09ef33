"""Delivery: takes what is due from the outbox to the destinations, all at once, each in its own order.

One thread, the caller's, looks into the outbox and does all the writing, a turn at a time; threads of their own send, a
few for each destination. So a slow destination holds up nobody else, and the network is never inside a transaction.
Every delivery is

    claimed (written down as unknown) -> sent -> settled

and whoever is killed in between leaves a delivery that is looked up, and at worst sent again: at least once. A turn
settles and claims in one transaction, however many have come to an end.
"""

from __future__ import annotations

import random as _random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from trapline.delivery.rate import Meters
from trapline.delivery.report import DeliveryReport, Tally
from trapline.delivery.senders import Senders
from trapline.delivery.watch import Watch, missing_reason, others, tell_of_dead
from trapline.outbox.circuit import Circuit, after, load_circuits, room, save_circuits
from trapline.outbox.queue import CLAIM, QueuedDelivery, claim, clean_reason, due, settle, skip
from trapline.outbox.verdict import State
from trapline.state.database import Database
from trapline_plugins.api import Delivered, Destination, Kind, Rate

PASS = timedelta(minutes=1)
"""After this long a pass starts nothing more: what is left is for the next one."""

_LOOK_AGAIN_SECONDS = 0.5  # while others work, for what becomes due with time, or by another process
_MOST_SKIPS = 500  # in one transaction


class Router:
    """Delivers what the outbox holds to the destinations it is for.

    `on_news` is called, by any thread, when there is something for `turn` to do: a delivery has come to an end, or this
    process has committed one. What another process commits is seen by the next turn. `rates` go before what the
    destinations' classes declare; `operations` are told of those that fail.
    """

    def __init__(
        self,
        database: Database,
        destinations: Mapping[str, Destination[Any]],
        *,
        now: Callable[[], datetime],
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], None] = time.sleep,
        operations: Sequence[str] = (),
        rates: Mapping[str, Rate] | None = None,
        on_news: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._now = now
        self._random = random
        self._sleep = sleep
        self._on_news = on_news
        self._news = threading.Event()
        self._senders = Senders(self._wake)
        self._watch = Watch(database, now=now)
        self._meters = Meters()
        self._circuits: dict[str, Circuit] = {}  # as of the last turn
        self.use(destinations, operations=operations, rates=rates or {})
        database.listen(self._wake)

    def use(
        self, destinations: Mapping[str, Destination[Any]], *, operations: Sequence[str], rates: Mapping[str, Rate]
    ) -> None:
        """Delivers to these from now on. What is under way to others is finished."""
        self._destinations = destinations
        self._operations = operations
        self._meters.rates = rates

    def deliver(self) -> DeliveryReport:
        """One pass over what is due, until nothing more is. Never raises for what a destination does wrong."""
        end, tally = self._now() + PASS, Tally()
        while True:
            self._news.clear()
            more = self._now() < end
            self._turn(tally, start=more)
            if self._senders and self._now() < end + CLAIM:
                self._news.wait(_LOOK_AGAIN_SECONDS)
            elif not (more and (self._news.is_set() or self._waited_for_a_meter(end))):
                return self._report(tally)

    def turn(self) -> DeliveryReport:
        """Settles what has come to an end and starts what is due, without waiting for any of it."""
        tally = Tally()
        self._turn(tally)
        return self._report(tally)

    def pause(self, longest: timedelta) -> timedelta:
        """How long no turn is needed unless there is news: until a rate lets something through, at most so long."""
        return self._meters.pause(self._now(), longest)

    def finish(self, seconds: float) -> None:
        """Waits at most so long for what is under way, and settles it. Starts nothing."""
        deadline = time.monotonic() + seconds
        while self._senders and (left := deadline - time.monotonic()) > 0:
            self._news.wait(left)
            self._news.clear()
            self._turn(Tally(), start=False)

    def _turn(self, tally: Tally, *, start: bool = True) -> None:
        self._watch.look(self._destinations.keys(), self._operations)
        now = self._now()
        if not self._senders.ended(now) and not (start and self._anything_due(now)):
            return
        fresh = Tally()
        with self._database.transaction() as connection:
            self._circuits = load_circuits(connection)
            self._settle(connection, fresh, now)
            claimed = self._claim(connection, fresh, now) if start else []
        self._senders.forget()
        tally.add(fresh)
        for delivery in claimed:
            destination = self._destinations[delivery.destination]
            if meter := self._meters.of(delivery.destination, destination):
                meter.count(now)
            self._senders.start(destination, delivery, now=now)

    def _settle(self, connection: sa.Connection, tally: Tally, now: datetime) -> None:
        """Writes down what has come to an end, and what that says of the destinations."""
        changed: dict[str, Circuit | None] = {}
        for delivery, outcome in self._senders.ended(now):
            name = delivery.destination
            before = self._circuits.pop(name, None)
            state = settle(connection, delivery, outcome, now=now, random=self._random, strike=before is None)
            next_ = after(before, outcome, destination=name, delivery_id=delivery.id, now=now, random=self._random)
            if next_:
                self._circuits[name] = next_
            if next_ != before:
                changed[name] = next_
            if state:
                tally.states[delivery.id] = state
            if state is State.DEAD and not isinstance(outcome, Delivered):
                tally.dead[name] = clean_reason(outcome.reason)
        save_circuits(connection, changed)
        failing = {name for name, circuit in self._circuits.items() if circuit.is_open}
        for name, reason in tally.dead.items():
            to = others(name, self._destinations.keys(), self._operations, failing=failing)
            tell_of_dead(connection, name, reason, to, now)

    def _anything_due(self, now: datetime) -> bool:
        with self._database.reading() as connection:  # most of the time there is nothing: wait for no writer
            self._circuits = load_circuits(connection)
            return any(self._due(connection, name, now, 1) for name in self._rooms(now))

    def _claim(self, connection: sa.Connection, tally: Tally, now: datetime) -> list[QueuedDelivery]:
        claimed: list[QueuedDelivery] = []
        for name, free in self._rooms(now).items():
            heads = self._wanted(connection, name, tally, now, free)
            claimed += [delivery for delivery in heads if claim(connection, delivery, now=now)]
        return claimed

    def _wanted(
        self, connection: sa.Connection, name: str, tally: Tally, now: datetime, limit: int
    ) -> list[QueuedDelivery]:
        """What may be sent now; what the destination does not want to hear of is settled."""
        kinds = self._destinations[name].kinds
        for _ in range(_MOST_SKIPS):
            heads = self._due(connection, name, now, limit)
            unwanted = [delivery for delivery in heads if Kind(delivery.kind) not in kinds]
            if not unwanted:
                return heads
            for delivery in unwanted:
                skip(connection, delivery, now=now)
                tally.states[delivery.id] = State.DELIVERED
        self._wake()
        return []

    def _due(self, connection: sa.Connection, name: str, now: datetime, limit: int) -> list[QueuedDelivery]:
        return due(connection, name, now=now, limit=limit, under_way=self._senders.held_by(name))

    def _rooms(self, now: datetime) -> dict[str, int]:
        """How many deliveries may be started now, for each destination that takes any."""
        busy = self._senders.busy()
        rooms = {}
        for name, destination in self._destinations.items():
            free = room(self._circuits.get(name), destination.at_once, now) - busy.get(name, 0)
            if meter := self._meters.of(name, destination):
                free = min(free, meter.left(now))
            if free > 0:
                rooms[name] = free
        return rooms

    def _waited_for_a_meter(self, end: datetime) -> bool:
        """Waits where nothing but a rate limit keeps something from being sent, and not in vain."""
        now = self._now()
        with self._database.reading() as connection:
            waits = [
                meter.free_at(now) - now
                for name, destination in self._destinations.items()
                if (meter := self._meters.of(name, destination))
                and room(self._circuits.get(name), destination.at_once, now)
                and self._due(connection, name, now, 1)
            ]
        if not waits or now + min(waits) >= end:
            return False
        self._sleep(min(waits).total_seconds())
        return self._now() > now  # not so by a clock that stands still

    def _report(self, tally: Tally) -> DeliveryReport:
        failing = {name: one.reason for name, one in self._circuits.items() if name in self._destinations}
        missing = self._watch.missing
        reasons = failing | {name: missing_reason(name) for name in missing}
        return tally.report(reasons, missing=sum(missing.values()))

    def _wake(self) -> None:
        self._news.set()
        self._on_news()
