"""What delivering came to: a tally while it goes on, and the report of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from trapline.outbox.verdict import State


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What was done. `retrying` wait for another attempt; `reasons` has the trouble of each destination."""

    delivered: int = 0
    retrying: int = 0
    dead: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """The last state of each delivery that came to an end, and why those that are dead are, by destination."""

    states: dict[str, State] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Takes in what came later."""
        self.states |= other.states
        self.dead |= other.dead

    def report(self, reasons: Mapping[str, str], *, missing: int) -> DeliveryReport:
        """The report; `missing` wait for destinations that are not there."""
        states = Counter(self.states.values())
        return DeliveryReport(
            delivered=states[State.DELIVERED],
            retrying=states[State.PENDING] + states[State.UNKNOWN] + missing,
            dead=states[State.DEAD],
            reasons={**reasons, **self.dead},
        )
