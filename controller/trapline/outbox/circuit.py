"""The circuit breaker of each destination: one that fails again and again is left alone, but for a probe now and then.

    closed      it works, and as much is sent at once as it likes
    failing     it failed the last time: one delivery at a time
    open        `FAILURES` different deliveries failed in a row: nothing, until `held_until`
    half open   then one probe; if that fails too, the circuit is open again, for longer

What arrives closes it. Failures of one delivery again and again count once: it may be the delivery's own fault, and
must hold up no others. Refusals count too: a token that has expired is to cost a handful of deliveries, and not all
that wait. Where the other side says when to come back, all that is for it waits until then. Circuits are kept in the
database: who is started anew knocks no more often.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from trapline.outbox.verdict import DEFAULT_POLICY, LONGEST_ASKED_WAIT
from trapline.state.schema import circuits
from trapline_plugins.api import Delivered, Outcome, Retry
from trapline_plugins.text import one_line

FAILURES = 5
"""After so many in a row the circuit is open."""

FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=10)

_MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Circuit:
    """A destination that failed the last time it was spoken to. One that works has none."""

    destination: str
    failures: int
    failing_since: datetime
    failed_at: datetime
    held_until: datetime | None
    delivery_id: str
    reason: str

    @property
    def is_open(self) -> bool:
        return self.failures >= FAILURES

    def holds(self, now: datetime) -> bool:
        """Whether nothing may be sent now. A hold beyond all reason comes from a clock that was wrong then."""
        return self.held_until is not None and now < self.held_until <= now + LONGEST_ASKED_WAIT


def room(circuit: Circuit | None, at_once: int, now: datetime) -> int:
    """How many deliveries may be under way to a destination that takes so many at once."""
    if circuit is None:
        return at_once
    return 0 if circuit.holds(now) else 1


def after(
    circuit: Circuit | None,
    outcome: Outcome,
    *,
    destination: str,
    delivery_id: str,
    now: datetime,
    random: Callable[[], float],
) -> Circuit | None:
    """The destination's circuit after this outcome of that delivery; None where it works."""
    if isinstance(outcome, Delivered):  # it was sent before the others were told to wait, if it was
        return circuit if circuit and circuit.holds(now) else None
    reason = one_line(outcome.reason, _MAX_REASON)
    if circuit is None:
        circuit = Circuit(destination, 1, now, now, None, delivery_id, reason)
    elif circuit.is_open or delivery_id != circuit.delivery_id:
        circuit = replace(circuit, failures=circuit.failures + 1)
    holds = [now + _wait(circuit, random)] if circuit.is_open else []
    if isinstance(outcome, Retry) and outcome.after is not None:
        holds.append(now + DEFAULT_POLICY.asked(outcome.after))
    # What was under way beside it may have been told of a longer wait.
    known = circuit.held_until if circuit.holds(now) else None
    held_until = max([*holds, *filter(None, [known])], default=None)
    return replace(circuit, failed_at=now, held_until=held_until, delivery_id=delivery_id, reason=reason)


def _wait(circuit: Circuit, random: Callable[[], float]) -> timedelta:
    """Between half of a ceiling and all of it; the ceiling doubles with every probe that fails."""
    ceiling = min(LONGEST_WAIT, FIRST_WAIT * float(2 ** min(circuit.failures - FAILURES, 32)))
    return ceiling * (0.5 + random() / 2)


def load_circuits(connection: sa.Connection) -> dict[str, Circuit]:
    """The circuits of the destinations that fail, by name."""
    return {row.destination: Circuit(**row._mapping) for row in connection.execute(sa.select(circuits))}


def save_circuits(connection: sa.Connection, changed: Mapping[str, Circuit | None]) -> None:
    """Writes down the circuits of these destinations, in the caller's transaction."""
    if changed:
        connection.execute(circuits.delete().where(circuits.c.destination.in_(changed)))
    for circuit in filter(None, changed.values()):
        connection.execute(circuits.insert().values(**asdict(circuit)))


def release(connection: sa.Connection, destinations: Collection[str]) -> None:
    """Lets these destinations be tried at once: a person says that they are mended."""
    connection.execute(circuits.update().where(circuits.c.destination.in_(destinations)).values(held_until=None))
