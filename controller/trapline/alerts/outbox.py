"""The outbox: what is to be said, kept with the alert's own change until a destination has it.

The states of a delivery:

    pending    to be sent, at `next_attempt_at` or later
    unknown    being sent, or sent without an answer: looked up at the other side before it is sent again
    delivered  the other side has it
    dead       given up: refused, or tried too often for too long; a person may revive it

Deliveries of one alert to one destination are sent in the order they were written: only the first one that is neither
delivered nor dead can be due. A dead one lets the next pass: that an alert is over is worth saying even where its
opening was refused. Nothing here speaks to the network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from trapline.errors import TraplineError
from trapline.state.database import announce
from trapline.state.schema import deliveries
from trapline_plugins.api import Delivered, Notification, Outcome, Rejected, Unknown
from trapline_plugins.text import notification_json, one_line, well_formed

CLAIM = timedelta(minutes=1)
"""How long a delivery that is being sent is left alone, should whoever sends it never come back."""

_MAX_REASON = 500
_UNSETTLED = ("pending", "unknown")
_notifications = TypeAdapter(Notification)


class State(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again, and when to give up: after `attempts` and after `patience`, whichever comes last.

    The wait before attempt n + 1 is random between nothing and `first` * 2**(n - 1), at most `longest` (full jitter).
    """

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(hours=1)
    shortest: timedelta = timedelta(seconds=1)
    attempts: int = 20
    patience: timedelta = timedelta(hours=24)

    def wait(self, attempts: int, random: Callable[[], float]) -> timedelta:
        """The wait after so many attempts."""
        ceiling = min(self.longest, self.first * float(2 ** min(attempts - 1, 32)))
        return max(self.shortest, ceiling * random())

    def gives_up(self, attempts: int, age: timedelta) -> bool:
        return attempts >= self.attempts and age >= self.patience


DEFAULT_POLICY = RetryPolicy()
_LONGEST_ASKED_WAIT = timedelta(hours=24)  # a Retry-After of years would be a silent loss


@dataclass(frozen=True, slots=True)
class QueuedDelivery:
    """One delivery that is due. `ref` is what the last one of the same alert to the same destination was given."""

    id: str
    sequence: int
    destination: str
    alert_id: str
    kind: str
    state: State
    attempts: int
    created_at: datetime
    payload: Mapping[str, Any]
    ref: str

    @property
    def notification(self) -> Notification:
        """The notification; raises ValueError where another version of Trapline wrote what this one cannot read."""
        return decode(self.payload)


def encode(notification: Notification) -> dict[str, Any]:
    """The notification as the JSON column keeps it."""
    return notification_json(notification)


def decode(payload: Mapping[str, Any]) -> Notification:
    """The notification that a JSON column holds."""
    return _notifications.validate_python(payload)


def enqueue(
    connection: sa.Connection,
    notification: Notification,
    destination: str,
    *,
    now: datetime,
    not_before: datetime | None = None,
) -> None:
    """Writes a delivery, in the caller's transaction: the one that changes the alert."""
    last = sa.select(sa.func.coalesce(sa.func.max(deliveries.c.sequence), 0)).scalar_subquery()
    connection.execute(
        deliveries.insert().values(
            id=notification.delivery_id,
            sequence=last + 1,
            destination=destination,
            alert_id=notification.alert_id,
            kind=notification.kind.value,
            notification=encode(notification),
            state=State.PENDING.value,
            next_attempt_at=not_before or now,
            created_at=now,
        )
    )
    announce(connection)


def due(
    connection: sa.Connection, *, now: datetime, limit: int = 100, destination: str | None = None
) -> list[QueuedDelivery]:
    """What may be sent now, oldest first: at most one delivery of each (destination, alert)."""
    unsettled = deliveries.c.state.in_(_UNSETTLED)
    heads = sa.select(sa.func.min(deliveries.c.sequence)).where(unsettled)
    heads = heads.group_by(deliveries.c.destination, deliveries.c.alert_id)
    if destination is not None:
        heads = heads.where(deliveries.c.destination == destination)
    query = (
        sa.select(deliveries, _last_ref())
        .where(deliveries.c.sequence.in_(heads), deliveries.c.next_attempt_at <= now)
        .order_by(deliveries.c.sequence)
        .limit(limit)
    )
    return [_queued(row) for row in connection.execute(query)]


def claim(connection: sa.Connection, delivery: QueuedDelivery, *, now: datetime) -> bool:
    """Takes a delivery to send it; false where another process was faster.

    It is written down as unknown before a byte leaves: whoever is killed from here on leaves behind the truth.
    """
    update = (
        deliveries.update()
        .where(
            deliveries.c.id == delivery.id,
            deliveries.c.state == delivery.state.value,
            deliveries.c.attempts == delivery.attempts,
        )
        .values(
            state=State.UNKNOWN.value,
            attempts=delivery.attempts + 1,
            next_attempt_at=now + CLAIM,
            reason=f"being sent since {now.isoformat(timespec='seconds')}",
        )
    )
    return connection.execute(update).rowcount == 1


def settle(
    connection: sa.Connection,
    id: str,
    outcome: Outcome,
    *,
    now: datetime,
    random: Callable[[], float],
    policy: RetryPolicy = DEFAULT_POLICY,
) -> State:
    """Writes down what became of a delivery, and says in which state it is now."""
    row = connection.execute(
        sa.select(deliveries.c.attempts, deliveries.c.created_at).where(deliveries.c.id == id)
    ).one()
    verdict = _verdict(outcome, row.attempts, now - row.created_at, random, policy)
    final = verdict.state in (State.DELIVERED, State.DEAD)
    connection.execute(
        deliveries.update()
        .where(deliveries.c.id == id)
        .values(
            state=verdict.state.value,
            reason=clean_reason(verdict.reason),
            ref=verdict.ref,
            next_attempt_at=now + verdict.wait,
            settled_at=now if final else None,
        )
    )
    return verdict.state


def newest_deliveries(
    connection: sa.Connection, *, state: State | None, destination: str | None, limit: int | None
) -> list[Mapping[str, Any]]:
    """The newest deliveries, in this state and to this destination where these are given, as rows of the table."""
    query = sa.select(deliveries).order_by(deliveries.c.sequence.desc()).limit(limit)
    if state is not None:
        query = query.where(deliveries.c.state == state.value)
    if destination is not None:
        query = query.where(deliveries.c.destination == destination)
    return [dict(row) for row in connection.execute(query).mappings()]


def find_delivery(connection: sa.Connection, prefix: str) -> Mapping[str, Any]:
    """The one delivery whose id starts so, as a row of the table. Raises TraplineError where none or several do."""
    query = sa.select(deliveries).where(deliveries.c.id.startswith(prefix, autoescape=True)).limit(2)
    rows = connection.execute(query).mappings().all()
    if len(rows) == 1:
        return dict(rows[0])
    problem = "several deliveries have an id that starts" if rows else "no delivery has an id that starts"
    raise TraplineError(f"{problem} with {prefix!r}", remedy="see `trapline deliveries list`")


def revive(connection: sa.Connection, ids: Collection[str], *, now: datetime) -> None:
    """Has dead deliveries sent again, as if they were new.

    Why they were given up no longer says whether they arrived: each is looked up first where its destination can tell.
    """
    again = {"state": State.UNKNOWN.value, "attempts": 0, "next_attempt_at": now, "settled_at": None}
    dead = deliveries.c.state == State.DEAD.value
    for id in ids:
        connection.execute(deliveries.update().where(deliveries.c.id == id, dead).values(**again, reason="redriven"))


def destinations_waiting(connection: sa.Connection) -> dict[str, int]:
    """Every destination with something unsettled, and how many."""
    query = sa.select(deliveries.c.destination, sa.func.count()).where(deliveries.c.state.in_(_UNSETTLED))
    return dict(connection.execute(query.group_by(deliveries.c.destination)).all())


def explain_waiting(connection: sa.Connection, destination: str, reason: str) -> None:
    """Writes a reason beside everything that waits for a destination, leaving the rest as it is."""
    connection.execute(
        deliveries.update()
        .where(
            deliveries.c.destination == destination,
            deliveries.c.state.in_(_UNSETTLED),
            deliveries.c.reason != reason,
        )
        .values(reason=reason)
    )


def clean_reason(text: str) -> str:
    """A reason as it is kept and shown: one line, safe on a terminal, of bounded length."""
    return one_line(text, _MAX_REASON)


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: State
    reason: str = ""
    ref: str = ""
    wait: timedelta = timedelta()


def _verdict(
    outcome: Outcome, attempts: int, age: timedelta, random: Callable[[], float], policy: RetryPolicy
) -> _Verdict:
    if isinstance(outcome, Delivered):
        return _Verdict(State.DELIVERED, ref=well_formed(outcome.ref).replace("\0", ""))
    if isinstance(outcome, Rejected):
        return _Verdict(State.DEAD, outcome.reason)
    if policy.gives_up(attempts, age):
        return _Verdict(State.DEAD, f"given up after {attempts} attempts: {outcome.reason}")
    wait = policy.wait(attempts, random)
    if isinstance(outcome, Unknown):
        return _Verdict(State.UNKNOWN, outcome.reason, wait=wait)
    if outcome.after is not None:
        wait = min(max(outcome.after, policy.shortest), _LONGEST_ASKED_WAIT)
    return _Verdict(State.PENDING, outcome.reason, wait=wait)


def _last_ref() -> sa.Label[str]:
    earlier = deliveries.alias("earlier")
    query = (
        sa.select(earlier.c.ref)
        .where(
            earlier.c.destination == deliveries.c.destination,
            earlier.c.alert_id == deliveries.c.alert_id,
            earlier.c.state == State.DELIVERED.value,
            earlier.c.ref != "",
        )
        .order_by(earlier.c.sequence.desc())
        .limit(1)
    )
    return sa.func.coalesce(query.scalar_subquery(), "").label("last_ref")


def _queued(row: sa.Row[Any]) -> QueuedDelivery:
    return QueuedDelivery(
        id=row.id,
        sequence=row.sequence,
        destination=row.destination,
        alert_id=row.alert_id,
        kind=row.kind,
        state=State(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        payload=row.notification,
        ref=row.last_ref,
    )
