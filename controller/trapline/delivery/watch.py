"""Telling people of destinations that fail: through other ones, never through the one that fails.

The alarm `destination` is open while a destination fails, or is not there though deliveries wait for it. The alarm
`dead-letter` is open from when a delivery is given up until those of the last day are sent again, or that day is over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from trapline.alerts.operational import REMIND_AFTER, open_alarms, raise_alarm, settle_alarm
from trapline.detection.model import Severity
from trapline.outbox.circuit import Circuit, load_circuits
from trapline.outbox.queue import State, destinations_waiting, explain_waiting, waiting
from trapline.state.database import Database
from trapline.state.schema import deliveries

FAILING = "destination"
DEAD_LETTER = "dead-letter"

EVERY = timedelta(seconds=10)
"""The time between two looks."""

FAILING_AFTER = timedelta(minutes=2)
"""A destination whose failures span so long is one that people hear of; a blip is not."""

MISSING_AFTER = timedelta(minutes=5)
"""After so long people hear of what waits for a destination that is not there."""

_A_DAY = timedelta(hours=24)


class Watch:
    """Looks now and then at how the destinations fare, and raises and settles their alarms."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._looked_at: datetime | None = None
        self._told: dict[str, tuple[datetime, list[str]]] = {}
        self.missing: Mapping[str, int] = {}
        """What waits for destinations that are not there, by their names, as of the last look."""

    def look(self, usable: Collection[str], operations: Sequence[str]) -> None:
        """Raises and settles alarms, unless the last look was just now. `usable` are the destinations there are."""
        now = self._now()
        if self._looked_at is not None and timedelta() <= now - self._looked_at < EVERY:
            return
        self._looked_at = now
        with self._database.reading() as connection:
            circuits = {name: one for name, one in load_circuits(connection).items() if name in usable}
            names = [name for name in destinations_waiting(connection) if name not in usable]
            missing = {name: waiting(connection, name) for name in names}
            over = _settled(connection, {*circuits, *missing}, now)
            late = [name for name in missing if _oldest(connection, name) <= now - MISSING_AFTER]
        failing = [name for name, one in circuits.items() if one.failed_at - one.failing_since >= FAILING_AFTER]
        for name in (*failing, *late):
            to = others(name, usable, operations, failing=failing)
            if self._is_news(name, to, now):
                self._raise(name, circuits.get(name), to, now)
                self._told[name] = now, to
        for kind, name in over:
            with self._database.transaction() as connection:
                settle_alarm(connection, kind=kind, subject=name, now=now)
            self._told.pop(name, None)
        for name in missing:
            if missing[name] != self.missing.get(name):
                with self._database.transaction() as connection:
                    explain_waiting(connection, name, missing_reason(name))
        self.missing = missing

    def _is_news(self, name: str, to: Sequence[str], now: datetime) -> bool:
        """The first time, then once an hour, and when others than before can hear of it."""
        told_at, told = self._told.get(name, (now - REMIND_AFTER, []))
        return told != to or now - told_at >= REMIND_AFTER

    def _raise(self, name: str, circuit: Circuit | None, to: Sequence[str], now: datetime) -> None:
        if circuit:
            title = f"Destination {name} has been failing since {circuit.failing_since:%H:%M} UTC"
            reason = circuit.reason
            runbook = (
                f"See `trapline destinations check {name}`. Once it works again, what waits is sent by itself, in "
                "order and within ten minutes. Nothing is given up because a destination is down."
            )
        else:
            title = f"Destination {name} is not there, and deliveries wait for it"
            reason = missing_reason(name)
            runbook = (
                "See `trapline destinations list`. Mend it in trapline.yml, or add one of that name: then what waits "
                "is sent."
            )
        with self._database.transaction() as connection:
            count = waiting(connection, name)
            raise_alarm(
                connection,
                kind=FAILING,
                subject=name,
                title=title,
                description=f"{reason}\nDeliveries that wait for it: {count:,}",
                severity=Severity.HIGH,
                runbook=runbook,
                destinations=to,
                context={"destination": name, "waiting": count},
                replay="trapline destinations list",
                now=now,
            )


def tell_of_dead(connection: sa.Connection, name: str, reason: str, to: Sequence[str], now: datetime) -> None:
    """Raises the alarm that deliveries to a destination were given up, in the transaction in which they are."""
    count = connection.execute(sa.select(sa.func.count()).where(*_dead(name))).scalar_one()
    raise_alarm(
        connection,
        kind=DEAD_LETTER,
        subject=name,
        title=f"Deliveries to {name} were given up",
        description=f"{reason}\nDeliveries to it that are given up by now, and kept: {count:,}",
        severity=Severity.HIGH,
        runbook=f"Mend what is said above, and run `trapline deliveries redrive --dead --destination {name}`.",
        destinations=to,
        context={"destination": name, "given_up": count},
        replay=f"trapline deliveries list --state dead --destination {name}",
        now=now,
    )


def others(name: str, usable: Collection[str], operations: Sequence[str], *, failing: Collection[str]) -> list[str]:
    """Who hears of a destination's trouble: those of `operations` that work.

    Where none of them does, every other destination that works: better to the wrong people than to nobody.
    """
    named = [one for one in operations if one != name]
    working = [one for one in named if one in usable and one not in failing]
    if operations and not working:
        working = [one for one in usable if one != name and one not in failing]
    return working or named


def missing_reason(name: str) -> str:
    """Why what is for a destination that is not there waits."""
    return f"no destination '{name}' is configured, or not well: see `trapline validate`"


def _settled(connection: sa.Connection, troubled: Collection[str], now: datetime) -> list[tuple[str, str]]:
    """The alarms, by kind and subject, of what is over."""
    well = [(FAILING, name) for name in open_alarms(connection, kind=FAILING) if name not in troubled]
    for name in open_alarms(connection, kind=DEAD_LETTER):
        recent = sa.select(deliveries.c.id).where(*_dead(name), deliveries.c.settled_at > now - _A_DAY).limit(1)
        if connection.execute(recent).first() is None:
            well.append((DEAD_LETTER, name))
    return well


def _oldest(connection: sa.Connection, name: str) -> datetime:
    unsettled = (deliveries.c.destination == name, deliveries.c.settled_at.is_(None))
    oldest = sa.select(sa.func.min(deliveries.c.created_at, type_=deliveries.c.created_at.type)).where(*unsettled)
    at: datetime = connection.execute(oldest).scalar_one()
    return at


def _dead(name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return deliveries.c.state == State.DEAD.value, deliveries.c.destination == name
