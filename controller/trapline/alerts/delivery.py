"""Delivery: takes what is due from the outbox to the destinations, all at once, each in its own order.

One thread per destination does nothing but talk to it; the pass itself, in the caller's thread, does all the writing.
So a slow destination holds up nobody else, and the network is never inside a transaction. Every delivery is

    claimed (written down as unknown) -> sent -> settled

and whoever is killed in between leaves a delivery that is looked up, and at worst sent again: at least once.
"""

from __future__ import annotations

import random as _random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from trapline.alerts.outbox import (
    QueuedDelivery,
    State,
    claim,
    clean_reason,
    destinations_waiting,
    due,
    explain_waiting,
    settle,
)
from trapline.alerts.plugins import describe_exception
from trapline.config.redact import hide_secrets
from trapline.state.database import Database
from trapline_plugins.api import Delivered, Destination, Kind, Notification, Outcome, Rejected, Retry, Unknown

PASS = timedelta(minutes=1)
"""After this long a pass starts nothing more: what is left is for the next one."""

FAILURES_IN_A_ROW = 3
"""After so many a destination is left alone for the rest of the pass: it is likely to be down for all of them."""

_LOOK_AGAIN_SECONDS = 0.5  # while a slow destination works, for what has become due for the others


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a pass did. `retrying` wait for another attempt; `reasons` has the last trouble of each destination."""

    delivered: int = 0
    retrying: int = 0
    dead: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)


class Router:
    """Delivers what the outbox holds to the destinations it is for."""

    def __init__(
        self,
        database: Database,
        destinations: Mapping[str, Destination[Any]],
        *,
        now: Callable[[], datetime],
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._database = database
        self._destinations = destinations
        self._now = now
        self._random = random

    def deliver(self) -> DeliveryReport:
        """One pass over what is due, until nothing more is due. Never raises for what a destination does wrong."""
        with ThreadPoolExecutor(max(1, len(self._destinations)), "delivery") as pool:
            return _Pass(self._database, self._destinations, self._now, self._random, pool).run()


@dataclass(slots=True)
class _Pass:
    """One pass: at most one delivery of each destination is under way at a time."""

    database: Database
    destinations: Mapping[str, Destination[Any]]
    now: Callable[[], datetime]
    random: Callable[[], float]
    pool: ThreadPoolExecutor
    running: dict[Future[Outcome], QueuedDelivery] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    states: dict[str, State] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def run(self) -> DeliveryReport:
        waiting = self._explain_unconfigured()
        end = self.now() + PASS
        while True:
            if self.now() < end:
                self._start(self._idle())
            if not self.running:
                break
            done, _ = wait(self.running, timeout=_LOOK_AGAIN_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._finish(self.running.pop(future), future.result())
        states = Counter(self.states.values())
        return DeliveryReport(
            delivered=states[State.DELIVERED],
            retrying=states[State.PENDING] + states[State.UNKNOWN] + waiting,
            dead=states[State.DEAD],
            reasons=self.reasons,
        )

    def _idle(self) -> Iterable[str]:
        busy = {delivery.destination for delivery in self.running.values()}
        return [name for name in self.destinations if name not in busy and self.failures[name] < FAILURES_IN_A_ROW]

    def _start(self, names: Iterable[str]) -> None:
        for name in names:
            while delivery := self._claimed(name):
                destination = self.destinations[name]
                if Kind(delivery.kind) in destination.kinds:
                    self.running[self.pool.submit(attempt, destination, delivery)] = delivery
                    break
                self._finish(delivery, Delivered())  # it does not want to hear of it

    def _claimed(self, name: str) -> QueuedDelivery | None:
        now = self.now()
        with self.database.reading() as connection:  # most of the time there is nothing: wait for no writer
            heads = due(connection, now=now, limit=1, destination=name)
        if not heads:
            return None
        with self.database.transaction() as connection:
            return heads[0] if claim(connection, heads[0], now=now) else None

    def _finish(self, delivery: QueuedDelivery, outcome: Outcome) -> None:
        with self.database.transaction() as connection:
            state = settle(connection, delivery.id, outcome, now=self.now(), random=self.random)
        self.states[delivery.id] = state
        if isinstance(outcome, Delivered):
            self.failures[delivery.destination] = 0
            return
        self.reasons[delivery.destination] = clean_reason(outcome.reason)
        asked_to_wait = isinstance(outcome, Retry) and outcome.after is not None
        if not isinstance(outcome, Rejected):
            self.failures[delivery.destination] += FAILURES_IN_A_ROW if asked_to_wait else 1

    def _explain_unconfigured(self) -> int:
        """Says beside the deliveries of a destination that is not there (any more) why they wait."""
        with self.database.reading() as connection:
            waiting = destinations_waiting(connection)
        unconfigured = {name: count for name, count in waiting.items() if name not in self.destinations}
        for name in unconfigured:
            self.reasons[name] = f"no destination '{name}' is configured, or not well: see `trapline validate`"
            with self.database.transaction() as connection:
                explain_waiting(connection, name, self.reasons[name])
        return sum(unconfigured.values())


def attempt(destination: Destination[Any], delivery: QueuedDelivery) -> Outcome:
    """Looks a delivery up where it may have arrived already, and sends it where it has not. Never raises."""
    try:
        notification = delivery.notification
    except ValueError as error:
        return Rejected(f"this version of Trapline cannot read the delivery: {type(error).__name__}")
    outcome = _find_or_send(destination, delivery, notification)
    if isinstance(outcome, Delivered):
        return replace(outcome, ref=hide_secrets(outcome.ref, destination.config))
    return replace(outcome, reason=hide_secrets(outcome.reason, destination.config))


def _find_or_send(destination: Destination[Any], delivery: QueuedDelivery, notification: Notification) -> Outcome:
    maybe_there = delivery.state is State.UNKNOWN
    try:
        if maybe_there and (found := destination.find(notification)):
            return _checked(found, "find")
        rendered = destination.render(notification)
    except (Exception, SystemExit) as error:
        # Nothing was sent now, but what was sent before may still be there.
        return (Unknown if maybe_there else Retry)(_bug(error))
    try:
        return _checked(destination.send(notification, rendered, delivery.ref), "send")
    except (Exception, SystemExit) as error:
        return Unknown(_bug(error))  # whether the request had left by then, nobody can tell


def _checked(outcome: object, method: str) -> Outcome:
    match outcome:
        case Delivered(ref=str()) | Rejected(reason=str()) | Unknown(reason=str()):
            return outcome
        case Retry(reason=str(), after=timedelta() | None):
            return outcome
    raise TypeError(f"{method} returned {outcome!r}")  # cut only once its secrets are hidden


def _bug(error: BaseException) -> str:
    return f"a bug in the plugin: {describe_exception(error)}"
