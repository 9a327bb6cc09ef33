"""The outbox: what is to be said, kept with the alert's own change until a destination has it.

The states of a delivery:

    pending    to be sent, at `next_attempt_at` or later
    unknown    being sent, or sent without an answer: looked up at the other side before it is sent again
    delivered  the other side has it
    dead       given up: refused, or not taken for a day in which others were; a person may revive it

Deliveries of one alert to one destination are sent in the order they were written: only the first one that is neither
delivered nor dead can be due. A dead one lets the next pass: that an alert is over is worth saying even where its
opening was refused. Nothing here speaks to the network.

What is not settled is in two small indexes of its own, by destination: a hundred thousand deliveries that wait for one
destination cost the others nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from trapline.outbox.verdict import DEFAULT_POLICY, History, RetryPolicy, judge
from trapline.outbox.verdict import State as State
from trapline.state.bulk import insert_all
from trapline.state.database import announce
from trapline.state.schema import UTCDateTime, deliveries
from trapline_plugins.api import Notification, Outcome
from trapline_plugins.text import notification_json, one_line

CLAIM = timedelta(minutes=1)
"""How long a delivery that is being sent is left alone, should whoever sends it never come back."""

_MAX_REASON = 500
_notifications = TypeAdapter(Notification)


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
    strikes: int = 0

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
    enqueue_all(connection, [(notification, destination)], now=now, not_before=not_before)


def enqueue_all(
    connection: sa.Connection,
    said: Sequence[tuple[Notification, str]],
    *,
    now: datetime,
    not_before: datetime | None = None,
) -> None:
    """Writes deliveries, each a notification and its destination, in this order."""
    if not said:
        return
    last: int = connection.execute(_LAST).scalar_one()
    rows = [
        {
            "id": notification.delivery_id,
            "sequence": sequence,
            "destination": destination,
            "alert_id": notification.alert_id,
            "kind": notification.kind.value,
            "notification": encode(notification),
            "state": State.PENDING.value,
            "attempts": 0,
            "next_attempt_at": not_before or now,
            "created_at": now,
            "ref": "",
            "reason": "",
        }
        for sequence, (notification, destination) in enumerate(said, last + 1)
    ]
    insert_all(connection, deliveries, rows)
    announce(connection)


_LAST = sa.select(sa.func.coalesce(sa.func.max(deliveries.c.sequence), 0))


def due(
    connection: sa.Connection, destination: str, *, now: datetime, limit: int = 100, under_way: Collection[str] = ()
) -> list[QueuedDelivery]:
    """What may be sent to a destination now, the longest due first: at most one delivery of each alert.

    Those `under_way`, by their ids, are left out: a destination may hold on to one for longer than its claim.
    """
    most = limit + len(under_way)
    found = [_queued(row) for row in connection.execute(_DUE, {"destination": destination, "now": now, "most": most})]
    return [delivery for delivery in found if delivery.id not in under_way][:limit]


def claim(connection: sa.Connection, delivery: QueuedDelivery, *, now: datetime) -> bool:
    """Takes a delivery to send it; false where another process was faster.

    It is written down as unknown before a byte leaves: whoever is killed from here on leaves behind the truth.
    """
    taken = {
        "its_id": delivery.id,
        "its_state": delivery.state.value,
        "its_attempts": delivery.attempts,
        "state": State.UNKNOWN.value,
        "attempts": delivery.attempts + 1,
        "next_attempt_at": now + CLAIM,
        "reason": f"being sent since {now.isoformat(timespec='seconds')}",
    }
    return connection.execute(_CLAIM, taken).rowcount == 1


def settle(
    connection: sa.Connection,
    delivery: QueuedDelivery,
    outcome: Outcome,
    *,
    now: datetime,
    random: Callable[[], float],
    strike: bool = True,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> State | None:
    """Writes down what became of a claimed delivery, and says in which state it is now.

    None where it had been taken over by another process meanwhile: what that one finds is what holds. `strike` says
    whether a failure is the delivery's own.
    """
    attempts = delivery.attempts + 1
    history = History(attempts, delivery.strikes, now - delivery.created_at)
    verdict = judge(outcome, history, strike=strike, random=random, policy=policy)
    final = verdict.state in (State.DELIVERED, State.DEAD)
    settled = {
        "its_id": delivery.id,
        "its_state": State.UNKNOWN.value,
        "its_attempts": attempts,
        "state": verdict.state.value,
        "reason": clean_reason(verdict.reason),
        "ref": verdict.ref,
        "strikes": verdict.strikes,
        "next_attempt_at": now + verdict.wait,
        "settled_at": now if final else None,
    }
    return verdict.state if connection.execute(_SETTLE, settled).rowcount == 1 else None


def skip(connection: sa.Connection, delivery: QueuedDelivery, *, now: datetime) -> None:
    """Settles a delivery that its destination does not want to hear of."""
    unchanged = (deliveries.c.id == delivery.id, deliveries.c.state == delivery.state.value)
    connection.execute(deliveries.update().where(*unchanged).values(state=State.DELIVERED.value, settled_at=now))


def destinations_waiting(connection: sa.Connection) -> list[str]:
    """Every destination with something that is not settled."""
    names: list[str] = []
    unsettled = sa.select(sa.func.min(deliveries.c.destination)).where(deliveries.c.settled_at.is_(None))
    # From name to name in the index: there may be a hundred thousand rows behind each.
    name = connection.execute(unsettled).scalar()
    while name is not None:
        names.append(name)
        name = connection.execute(unsettled.where(deliveries.c.destination > name)).scalar()
    return names


def waiting(connection: sa.Connection, destination: str) -> int:
    """How many deliveries to a destination are not settled."""
    unsettled = (deliveries.c.destination == destination, deliveries.c.settled_at.is_(None))
    return int(connection.execute(sa.select(sa.func.count()).where(*unsettled)).scalar_one())


def explain_waiting(connection: sa.Connection, destination: str, reason: str) -> None:
    """Writes a reason beside everything that waits for a destination, leaving the rest as it is."""
    connection.execute(
        deliveries.update()
        .where(
            deliveries.c.destination == destination,
            deliveries.c.settled_at.is_(None),
            deliveries.c.reason != reason,
        )
        .values(reason=reason)
    )


def clean_reason(text: str) -> str:
    """A reason as it is kept and shown: one line, safe on a terminal, of bounded length."""
    return one_line(text, _MAX_REASON)


def _due_query() -> sa.Select[Any]:
    same, earlier = deliveries.alias("same"), deliveries.alias("earlier")
    destination, now = sa.bindparam("destination", type_=sa.String), sa.bindparam("now", type_=UTCDateTime)
    head = sa.select(sa.func.min(same.c.sequence)).where(
        same.c.destination == destination, same.c.alert_id == deliveries.c.alert_id, same.c.settled_at.is_(None)
    )
    last_ref = sa.select(earlier.c.ref).where(
        earlier.c.destination == destination,
        earlier.c.alert_id == deliveries.c.alert_id,
        earlier.c.state == State.DELIVERED.value,
        earlier.c.ref != "",
    )
    last_ref = last_ref.order_by(earlier.c.sequence.desc()).limit(1)
    return (
        sa.select(deliveries, sa.func.coalesce(last_ref.scalar_subquery(), "").label("last_ref"))
        .where(
            deliveries.c.destination == destination,
            deliveries.c.settled_at.is_(None),
            deliveries.c.next_attempt_at <= now,
            deliveries.c.sequence == head.scalar_subquery(),
        )
        .order_by(deliveries.c.next_attempt_at, deliveries.c.sequence)
        .limit(sa.bindparam("most", type_=sa.Integer))
    )


def _change(*columns: str) -> sa.Update:
    """A change of these columns, where nobody has changed the delivery meanwhile."""
    return (
        deliveries.update()
        .where(
            deliveries.c.id == sa.bindparam("its_id"),
            deliveries.c.state == sa.bindparam("its_state"),
            deliveries.c.attempts == sa.bindparam("its_attempts"),
        )
        .values({name: sa.bindparam(name, type_=deliveries.c[name].type) for name in columns})
    )


# Made once: to put them together takes far longer than to run them.
_DUE = _due_query()
_CLAIM = _change("state", "attempts", "next_attempt_at", "reason")
_SETTLE = _change("state", "reason", "ref", "strikes", "next_attempt_at", "settled_at")


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
        strikes=row.strikes or 0,
    )
