"""What one detection says about one scan, and the boundary between it and the others."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from trapline.alerts.failures import Failure, FailureKey, cost_of
from trapline.alerts.match import Match
from trapline.deploy.ledger import Deployment
from trapline.errors import TraplineError
from trapline.run.rules import NOTHING, Known
from trapline.workers.interface import WorkerError


@dataclass(slots=True)
class Findings:
    """What one detection said about one scan. With an `error` the window counts as not seen and is read again.

    `its_fault`: the error is the detection's own. `spent`: its failures cost more than its `allowance`. `breaches`
    counts the records that it had something to say of although its predicate does not hold for them. `again` are
    failures that were set aside before and that an overlapping window brings once more, by record and function.
    """

    deployment: Deployment
    allowance: int = sys.maxsize
    rule: Known = NOTHING
    again: frozenset[FailureKey] = frozenset()
    matches: list[Match] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    error: str = ""
    its_fault: bool = False
    spent: bool = False
    breaches: int = 0
    twins: Counter[str] = field(default_factory=Counter)  # records without an id, by their content

    @property
    def where(self) -> str | None:
        """The user's own condition: no other records are shown to the rule."""
        return self.deployment.config.query.where

    @property
    def cost(self) -> int:
        """What its failures cost of its error budget; those that were paid for cost nothing."""
        return sum(cost_of(one.outcome) for one in self.failures if (one.key, one.function) not in self.again)

    def add(self, matches: Sequence[Match], failures: Sequence[Failure], *, complete: bool = True) -> None:
        """What it said about one batch; not `complete` where it failed too often to go on."""
        self.matches += matches
        self.failures += failures
        if not complete or self.cost > self.allowance:
            self.spent = self.its_fault = True
            often = "once" if len(self.failures) == 1 else f"{len(self.failures)} times"
            self.error = f"it failed {often}, the last time in {self.failures[-1]}"


@contextmanager
def blamed(findings: Findings) -> Iterator[None]:
    """The boundary between one detection and the others on its scan: whatever is raised becomes its error."""
    try:
        yield
    except WorkerError as error:
        findings.error, findings.its_fault = str(error), error.outcome != "unavailable"
    except TraplineError as error:
        findings.error = str(error)
    except Exception as error:
        findings.error = f"running it failed in Trapline itself: {error!r}"
