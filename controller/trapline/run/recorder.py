"""What detections found, brought into the state: each apart from the others, with what it means for the detection."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from trapline.alerts.failures import set_aside
from trapline.alerts.origin import ScanSummary
from trapline.alerts.record import Recorded, record, record_with
from trapline.deploy.digest import DeployDigest
from trapline.deploy.ledger import Deployment
from trapline.errors import TraplineError
from trapline.query.engine import ScanRequest
from trapline.run.audit import breached
from trapline.run.context import Context
from trapline.run.failures import origin_of
from trapline.run.findings import Findings
from trapline.run.quarantine import quarantine, spent_of_budgets

log = logging.getLogger("trapline")


@dataclass(slots=True)
class TickReport:
    """What one tick did. `errors` says, by identity, why a window is read again, or not yet; `failures`, what rules
    failed on; `quarantined`, why a detection was set apart. `settled` counts the earlier failures that a version got
    through."""

    scans: list[ScanSummary] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    matches: int = 0
    opened: int = 0
    updated: int = 0
    settled: int = 0


class Recorder:
    """Takes what detections found. What goes wrong with one of them is in the `report`, and the others go on."""

    def __init__(self, context: Context, report: TickReport, *, stopping: Callable[[], bool]) -> None:
        self._context = context
        self._report = report
        self._stopping = stopping
        self.spent_of: Counter[DeployDigest] = spent_of_budgets(context)

    def allowance(self, deployment: Deployment) -> int:
        """What the failures of a deployment may still cost."""
        budget = self._context.settings.error_budget.failures
        return max(budget - self.spent_of[deployment.deploy_digest], 0)

    def take(self, found: Findings, request: ScanRequest, summary: ScanSummary, *, streamed: datetime | None) -> None:
        """What one detection found over a window; where that cannot be recorded, its window is read again.

        `streamed`: since when it sees records as they land, so that what is found only now was missed.
        """

        def take() -> None:
            if not found.error and not found.breaches:
                recorded = record(
                    self._context.database,
                    origin_of(found.deployment),
                    summary,
                    found.matches,
                    found.failures,
                    now=self._context.now(),
                    policy=self._context.policy_of(found.deployment.identity),
                    streamed=streamed,
                )
                self._count(found, recorded)
            else:
                self.judge(found, request, summary)

        if not self.alone(found.deployment, take):
            found.error = self._report.errors[found.deployment.identity]

    def take_landed(self, connection: sa.Connection, found: Findings, summary: ScanSummary) -> None:
        """What one detection found in what has just landed, in the caller's transaction; no checkpoint moves."""

        def take() -> None:
            with connection.begin_nested():
                recorded = record_with(
                    connection,
                    origin_of(found.deployment),
                    summary,
                    found.matches,
                    found.failures,
                    now=self._context.now(),
                    policy=self._context.policy_of(found.deployment.identity),
                )
            self._count(found, recorded)

        if not self.alone(found.deployment, take):
            found.error = self._report.errors[found.deployment.identity]

    def judge(self, found: Findings, request: ScanRequest, summary: ScanSummary) -> None:
        """What it means for a detection that it did not get through, or that its predicate was wrong."""
        if found.breaches:
            breached(self._context, found.deployment, request, records=found.breaches)
            self._context.rules.distrust({found.deployment.build_digest})  # so its window is due again, unfiltered
        elif found.spent:
            self._spent(found, summary)
        else:
            self._failed_whole(found.deployment, found.error, its_fault=found.its_fault)

    def alone(self, deployment: Deployment, step: Callable[[], None]) -> bool:
        """The boundary between what is recorded of one detection and of the others; whether it went well."""
        try:
            step()
        except TraplineError:  # the database is of no use now, for nobody
            raise
        except Exception as error:
            log.exception("what %s found cannot be recorded", deployment.name)
            self._report.errors[deployment.identity] = f"recording it failed in Trapline: {error!r}"
            return False
        return True

    def _count(self, found: Findings, recorded: Recorded) -> None:
        report, deployment = self._report, found.deployment
        report.matches += recorded.new_matches
        report.opened += recorded.opened
        report.updated += recorded.updated
        if found.failures:
            self.spent_of[deployment.deploy_digest] += found.cost
            often = "once," if len(found.failures) == 1 else f"{len(found.failures)} times, first"
            report.failures[deployment.identity] = f"the rule failed {often} in {found.failures[0]}"

    def _spent(self, found: Findings, summary: ScanSummary) -> None:
        """Over the error budget: what it failed on is kept to be looked at, and its window is read again after it."""
        with self._context.database.transaction() as connection:
            origin, now = origin_of(found.deployment), self._context.now()
            set_aside(connection, origin, summary.table, summary.window, found.failures, now=now)
        budget = self._context.settings.error_budget.failures
        cost = self.spent_of[found.deployment.deploy_digest] + found.cost
        reason = f"{found.error}; this costs {cost} of an error budget of {budget} within an hour"
        self._quarantine(found.deployment, reason)

    def _failed_whole(self, deployment: Deployment, error: str, *, its_fault: bool) -> None:
        self._report.errors[deployment.identity] = error
        if its_fault and not self._stopping():
            strikes = (deployment.strikes or 0) + 1
            self._context.ledger.set_strikes(deployment, strikes)
            if strikes >= self._context.settings.error_budget.windows:
                self._quarantine(deployment, f"it failed {strikes} times in a row, the last time: {error}")

    def _quarantine(self, deployment: Deployment, reason: str) -> None:
        if quarantine(self._context, deployment, reason):
            said = f"quarantined: {reason}"
            self._report.errors[deployment.identity] = self._report.quarantined[deployment.identity] = said
