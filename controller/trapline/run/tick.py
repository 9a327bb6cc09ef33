"""A tick: every scan that is due, planned, run and recorded, until everything has caught up with now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trapline.alerts.record import Origin, ScanSummary, read_checkpoints, record, write_checkpoints
from trapline.deploy.ledger import Deployment
from trapline.query.engine import QueryError
from trapline.run.context import Context
from trapline.run.feed import Feeder, Findings, Interrupted
from trapline.run.plan import PlannedScan, plan, start_of


@dataclass(slots=True)
class TickReport:
    """What one tick did. `errors` says, by identity, why a window will be read again; `failures`, what rules raised."""

    scans: list[ScanSummary] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    matches: int = 0
    opened: int = 0
    updated: int = 0


class Ticker:
    """Walks the trapline: reads what is new in every table and brings it past every detection that watches it."""

    def __init__(
        self,
        context: Context,
        *,
        threads: int,
        stopping: Callable[[], bool] = lambda: False,
        on_scan: Callable[[PlannedScan], Any] = lambda _: None,
        on_batch: Callable[[], Any] = lambda: None,
    ) -> None:
        self._context = context
        self._threads = threads
        self._stopping = stopping
        self._on_scan = on_scan
        self._on_batch = on_batch

    def tick(self) -> TickReport:
        """Catches up in bounded windows. What fails is left at its checkpoint for the next tick; the rest goes on."""
        report, now = TickReport(), self._context.now()
        failed: set[tuple[str, str]] = set()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="feed") as threads:
            feeder = Feeder(self._context, threads, stopping=self._stopping, on_batch=self._on_batch)
            while not self._stopping():
                deployments = self._context.ledger.running().values()
                checkpoints = self._checkpoints(deployments, now)
                due = plan(deployments, checkpoints, self._context.settings, now=now, skip=frozenset(failed))
                if not due:
                    break
                for planned in due:
                    if self._stopping():
                        break
                    self._on_scan(planned)
                    failed |= self._run(feeder, planned, report)
        self._write_health(report)
        return report

    def _run(self, feeder: Feeder, planned: PlannedScan, report: TickReport) -> set[tuple[str, str]]:
        """One scan, recorded for each of its detections; returns the (identity, table) pairs that it failed for."""
        table = planned.request.table
        try:
            summary, findings = feeder.feed(planned)
        except QueryError as error:
            report.errors |= {member.identity: f"table {table}: {error} [{error.code}]" for member in planned.members}
            return {(member.identity, table) for member in planned.members}
        except Interrupted:
            return set()
        report.scans.append(summary)
        for found in findings:
            identity = found.deployment.identity
            report.ran.add(identity)
            if found.error:
                report.errors[identity] = found.error
            else:
                self._record(found, summary, report)
        return {(found.deployment.identity, table) for found in findings if found.error}

    def _record(self, found: Findings, summary: ScanSummary, report: TickReport) -> None:
        deployment = found.deployment
        origin = Origin(deployment.identity, deployment.config, deployment.revision, deployment.build_digest)
        recorded = record(
            self._context.database, origin, summary, found.matches, found.failures, now=self._context.now()
        )
        report.matches += recorded.new_matches
        report.opened += recorded.opened
        report.updated += recorded.updated
        if found.failures:
            first = found.failures[0]
            place = f" at {first.file}:{first.line}" if first.file else ""
            report.failures[deployment.identity] = (
                f"the rule failed {len(found.failures)} times, first in {first.function}(){place}: {first.error}"
            )

    def _write_health(self, report: TickReport) -> None:
        for identity, deployment in self._context.ledger.deployments().items():
            if identity in report.ran or identity in report.errors:
                message = report.errors.get(identity) or report.failures.get(identity, "")
                if message != deployment.health_message:
                    self._context.ledger.set_health(identity, message, now=self._context.now())

    def _checkpoints(self, deployments: Collection[Deployment], now: datetime) -> dict[tuple[str, str], datetime]:
        """How far everybody has seen. Who is new gets a checkpoint at once: should its first scan fail, that stays."""
        known = read_checkpoints(self._context.database)
        new = {
            (deployment.identity, table): start_of(table, self._context.settings, now=now)
            for deployment in deployments
            for table in deployment.config.tables
            if (deployment.identity, table) not in known
        }
        if new:
            write_checkpoints(self._context.database, new)
        return known | new
