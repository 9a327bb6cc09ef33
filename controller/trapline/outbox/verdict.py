"""What an attempt means for a delivery: it has arrived, is tried again, or is given up. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from trapline_plugins.api import Delivered, Outcome, Rejected, Unknown
from trapline_plugins.text import well_formed

LONGEST_ASKED_WAIT = timedelta(hours=24)
"""As long as another side may have us wait: a Retry-After of years would be a silent loss."""


class State(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again, and when to give up: after `strikes` and after `patience`, whichever comes last.

    The wait before attempt n + 1 is random between nothing and `first` * 2**(n - 1), at most `longest` (full jitter).
    """

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(minutes=10)
    shortest: timedelta = timedelta(seconds=1)
    strikes: int = 20
    patience: timedelta = timedelta(hours=24)

    def wait(self, attempts: int, random: Callable[[], float]) -> timedelta:
        """The wait after so many attempts."""
        ceiling = min(self.longest, self.first * float(2 ** min(attempts - 1, 32)))
        return max(self.shortest, ceiling * random())

    def gives_up(self, strikes: int, age: timedelta) -> bool:
        """Whether a delivery of this age has been tried for long enough."""
        return strikes >= self.strikes and age >= self.patience

    def asked(self, wait: timedelta) -> timedelta:
        """The wait that another side asks for, within reason."""
        return min(max(wait, self.shortest), LONGEST_ASKED_WAIT)


DEFAULT_POLICY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class History:
    """What came before an attempt ended: how many there were, this one included, and the strikes before it.

    A strike is a failure that tells of the delivery itself: its destination had taken something else just before. A
    destination that is down costs no strikes, however long that lasts.
    """

    attempts: int
    strikes: int
    age: timedelta


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the delivery; `wait` is how long it is left alone."""

    state: State
    strikes: int
    reason: str = ""
    ref: str = ""
    wait: timedelta = timedelta()


def judge(
    outcome: Outcome,
    history: History,
    *,
    strike: bool,
    random: Callable[[], float],
    policy: RetryPolicy = DEFAULT_POLICY,
) -> Verdict:
    """What an outcome makes of a delivery with that history; `strike` says whether a failure is its own."""
    strikes = history.strikes
    if isinstance(outcome, Delivered):
        return Verdict(State.DELIVERED, strikes, ref=well_formed(outcome.ref).replace("\0", ""))
    if isinstance(outcome, Rejected):
        return Verdict(State.DEAD, strikes, outcome.reason)
    strikes += strike
    if policy.gives_up(strikes, history.age):
        return Verdict(State.DEAD, strikes, f"given up after {history.attempts} attempts: {outcome.reason}")
    wait = policy.wait(history.attempts, random)
    if isinstance(outcome, Unknown):
        return Verdict(State.UNKNOWN, strikes, outcome.reason, wait=wait)
    if outcome.after is not None:
        wait = policy.asked(outcome.after)
    return Verdict(State.PENDING, strikes, outcome.reason, wait=wait)
