"""A tick: every scan that is due, planned, run and recorded, until everything has caught up with now."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from trapline.alerts.failures import FailureKey, Failures, cost_of, set_aside
from trapline.alerts.origin import ScanSummary
from trapline.alerts.record import record
from trapline.deploy.digest import DeployDigest
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.errors import TraplineError
from trapline.query.engine import ScanRequest
from trapline.run.audit import breached, distrusted
from trapline.run.context import Context
from trapline.run.failures import due_replays, origin_of, replay_failures
from trapline.run.feed import Feeder
from trapline.run.findings import Findings
from trapline.run.plan import PlannedScan, ahead_of_clock, beginnings, next_due, plan
from trapline.run.putoff import PutOff
from trapline.run.quarantine import quarantine, settle_alarms, spent_of_budgets
from trapline.run.scans import Fed, feed_all
from trapline.schedule import Every
from trapline.state.checkpoints import Pair, read_checkpoints, revise_checkpoints
from trapline.window import Checkpoint

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


class Ticker:
    """Walks the trapline: reads what is new in every table and brings it past every detection that watches it."""

    def __init__(
        self,
        context: Context,
        *,
        threads: int,
        by_schedule: bool = False,
        put_off: PutOff | None = None,
        stopping: Callable[[], bool] = lambda: False,
        on_scan: Callable[[PlannedScan], Any] = lambda _: None,
        on_batch: Callable[[], Any] = lambda: None,
    ) -> None:
        """`by_schedule`: it ticks again and again, and `put_off` remembers from tick to tick who failed."""
        self._context = context
        self._threads = threads
        self._by_schedule = by_schedule
        self._put_off = put_off or PutOff()
        self._stopping = stopping
        self._on_scan = on_scan
        self._on_batch = on_batch
        self._spent_of: Counter[DeployDigest] = Counter()
        self._seen_to: dict[tuple[str, str], datetime] = {}

    def tick(self) -> TickReport:
        """Catches up in bounded windows. What fails is left at its checkpoint for the next tick; the rest goes on."""
        report, now = TickReport(), self._context.now()
        running, every = self._context.ledger.running(), self._context.settings.schedule.every
        waiting = self._put_off.waiting(running, now=now, longest=every)
        settle_alarms(self._context)
        self._context.rules.trust_all_but(distrusted(self._context))
        self._spent_of = spent_of_budgets(self._context)
        self._replay(report)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="feed") as threads:
            feeder = Feeder(
                self._context,
                threads,
                width=self._threads,
                stopping=self._stopping,
                on_batch=self._on_batch,
                allowance=self._allowance,
                again=self._paid_for,
            )
            failed = self._catch_up(feeder, report, now, waiting)
        self._put_off.add(failed, running, until=Every(every).next(now))
        self._write_health(report, waiting={identity for identity, _ in waiting})
        return report

    def _catch_up(self, feeder: Feeder, report: TickReport, now: datetime, waiting: frozenset[Pair]) -> set[Pair]:
        """One window after another, all detections side by side; returns for whom and on which table that failed."""
        settings = self._context.settings
        failed: set[Pair] = set()
        while not self._stopping():
            deployments = self._context.ledger.running().values()
            checkpoints = self._checkpoints(deployments, now, report)
            due = plan(
                deployments,
                checkpoints,
                settings,
                now=now,
                by_schedule=self._by_schedule,
                skip=waiting | failed,
                apart=self._troubled(deployments),
            )
            if not due:
                break
            scans = feed_all(
                feeder,
                due,
                remote=self._context.engine.remote,
                stopping=self._stopping,
                on_scan=self._on_scan,
            )
            for fed in scans:
                failed |= self._took(fed, report)
            if self._by_schedule and next_due(deployments, settings, after=now) <= self._context.now():
                break  # the others are due again: who has to catch up goes on in the next tick, beside them
        return failed

    def _troubled(self, deployments: Collection[Deployment]) -> frozenset[str]:
        """Those that lately took much time or a worker, and may do so again."""
        much = cost_of("timeout")
        return frozenset(
            one.identity for one in deployments if one.strikes or self._spent_of[one.deploy_digest] >= much
        )

    def _allowance(self, deployment: Deployment) -> int:
        budget = self._context.settings.error_budget.failures
        return max(budget - self._spent_of[deployment.deploy_digest], 0)

    def _paid_for(self, deployment: Deployment, request: ScanRequest) -> frozenset[FailureKey]:
        """The failures before its checkpoint, where the window overlaps with what was seen."""
        seen_to = self._seen_to.get((deployment.identity, request.table), request.window.start)
        if deployment.mode is not Mode.RECORD or seen_to <= request.window.start:
            return frozenset()
        known = Failures(self._context.database)
        return known.open_between(deployment.identity, request.table, request.window.start, seen_to)

    def _replay(self, report: TickReport) -> None:
        """What earlier versions failed on, for those that a new version is live of."""
        for deployment in due_replays(self._context):
            self._alone(deployment, report, partial(self._replay_of, deployment, report))

    def _replay_of(self, deployment: Deployment, report: TickReport) -> None:
        replayed = replay_failures(self._context, deployment, stopping=self._stopping)
        report.matches += replayed.matches
        report.opened += replayed.opened
        report.updated += replayed.updated
        report.settled += replayed.settled
        if replayed.error:
            report.errors[deployment.identity] = f"replaying its failures: {replayed.error}"

    def _took(self, fed: Fed, report: TickReport) -> set[tuple[str, str]]:
        """One scan, recorded for each of its detections; returns the (identity, table) pairs that it failed for."""
        planned, table = fed.planned, fed.planned.request.table
        if fed.summary is None:
            said = f"table {table}: {fed.error} [{fed.error.code}]" if fed.error else ""
            report.errors |= {member.identity: said for member in planned.members}
            return {(member.identity, table) for member in planned.members}
        report.scans.append(fed.summary)
        for found in fed.findings:
            report.ran.add(found.deployment.identity)
            self._take(found, planned, fed.summary, report)
        return {(found.deployment.identity, table) for found in fed.findings if found.error and not found.breaches}

    def _take(self, found: Findings, planned: PlannedScan, summary: ScanSummary, report: TickReport) -> None:
        """What one detection found; where that cannot be recorded, its window is read again, and the others go on."""

        def take() -> None:
            if found.breaches:
                breached(self._context, found.deployment, planned.request, records=found.breaches)
                self._context.rules.distrust({found.deployment.build_digest})  # so its window is due again, unfiltered
            elif not found.error:
                self._record(found, summary, report)
            elif found.spent:
                self._spent(found, summary, report)
            else:
                self._failed_whole(found.deployment, found.error, report, its_fault=found.its_fault)

        if not self._alone(found.deployment, report, take):
            found.error = report.errors[found.deployment.identity]

    def _alone(self, deployment: Deployment, report: TickReport, step: Callable[[], None]) -> bool:
        """The boundary between what is recorded of one detection and of the others; whether it went well."""
        try:
            step()
        except TraplineError:  # the database is of no use now, for nobody
            raise
        except Exception as error:
            log.exception("what %s found cannot be recorded", deployment.name)
            report.errors[deployment.identity] = f"recording it failed in Trapline: {error!r}"
            return False
        return True

    def _record(self, found: Findings, summary: ScanSummary, report: TickReport) -> None:
        deployment, identity = found.deployment, found.deployment.identity
        recorded = record(
            self._context.database,
            origin_of(deployment),
            summary,
            found.matches,
            found.failures,
            now=self._context.now(),
            policy=self._context.policy_of(identity),
        )
        report.matches += recorded.new_matches
        report.opened += recorded.opened
        report.updated += recorded.updated
        if found.failures:
            self._spent_of[deployment.deploy_digest] += found.cost
            often = "once," if len(found.failures) == 1 else f"{len(found.failures)} times, first"
            report.failures[identity] = f"the rule failed {often} in {found.failures[0]}"

    def _spent(self, found: Findings, summary: ScanSummary, report: TickReport) -> None:
        """Over the error budget: what it failed on is kept to be looked at, and its window is read again after it."""
        with self._context.database.transaction() as connection:
            origin, now = origin_of(found.deployment), self._context.now()
            set_aside(connection, origin, summary.table, summary.window, found.failures, now=now)
        budget = self._context.settings.error_budget.failures
        cost = self._spent_of[found.deployment.deploy_digest] + found.cost
        reason = f"{found.error}; this costs {cost} of an error budget of {budget} within an hour"
        self._quarantine(found.deployment, reason, report)

    def _failed_whole(self, deployment: Deployment, error: str, report: TickReport, *, its_fault: bool) -> None:
        report.errors[deployment.identity] = error
        if its_fault and not self._stopping():
            strikes = (deployment.strikes or 0) + 1
            self._context.ledger.set_strikes(deployment, strikes)
            if strikes >= self._context.settings.error_budget.windows:
                self._quarantine(deployment, f"it failed {strikes} times in a row, the last time: {error}", report)

    def _quarantine(self, deployment: Deployment, reason: str, report: TickReport) -> None:
        if quarantine(self._context, deployment, reason):
            report.errors[deployment.identity] = report.quarantined[deployment.identity] = f"quarantined: {reason}"

    def _write_health(self, report: TickReport, *, waiting: Collection[str]) -> None:
        """How it went, as far as it did: what is said of those that wait with one of their tables stays true."""
        for identity, deployment in self._context.ledger.deployments().items():
            if identity in report.errors or (identity in report.ran and identity not in waiting):
                message = report.errors.get(identity) or report.failures.get(identity, "")
                if message != deployment.health_message:
                    self._context.ledger.set_health(identity, message, now=self._context.now())
                if deployment.strikes and identity not in report.errors:  # it got through all of its tables
                    self._context.ledger.set_strikes(deployment, None)

    def _checkpoints(
        self, deployments: Collection[Deployment], now: datetime, report: TickReport
    ) -> dict[tuple[str, str], Checkpoint]:
        """How far everybody has seen. Who is new gets a checkpoint at once: should its first scan fail, that stays.

        Of what is not live any more none is kept, so that what comes back begins anew.
        """
        known = read_checkpoints(self._context.database)
        live = {(id, table) for id, one in self._context.ledger.deployments().items() for table in one.config.tables}
        begin = beginnings(deployments, known, self._context.settings, now=now)
        revise_checkpoints(self._context.database, begin=begin, drop=known.keys() - live)
        checkpoints = known | {pair: Checkpoint(start, start) for pair, start in begin.items()}
        for one in deployments:
            for table in one.config.tables:
                if ahead_of_clock(checkpoints[one.identity, table], now=now):
                    report.errors[one.identity] = _ahead(table, checkpoints[one.identity, table], now)
        self._seen_to = {pair: checkpoint.position for pair, checkpoint in checkpoints.items()}
        return checkpoints


def _ahead(table: str, checkpoint: Checkpoint, now: datetime) -> str:
    return (
        f"table {table}: it was read up to {checkpoint.position:%Y-%m-%d %H:%M:%S}, and the clock says "
        f"{now:%Y-%m-%d %H:%M:%S}: nothing is read until then. Set the clock right; where it went ahead before, give "
        "the detection a schedule.start at which it begins again"
    )
