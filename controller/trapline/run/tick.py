"""A tick: every scan that is due, planned, run and recorded, until everything has caught up with now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from trapline.alerts.failures import FailureKey, Failures, cost_of
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.query.engine import ScanRequest
from trapline.run.audit import distrusted
from trapline.run.context import Context
from trapline.run.failures import due_replays, replay_failures
from trapline.run.feed import Feeder
from trapline.run.plan import PlannedScan, ahead_of_clock, beginnings, next_due, plan
from trapline.run.putoff import PutOff
from trapline.run.quarantine import settle_alarms
from trapline.run.recorder import Recorder, TickReport
from trapline.run.scans import Fed, feed_all
from trapline.schedule import Every
from trapline.state.checkpoints import Pair, read_checkpoints, revise_checkpoints
from trapline.window import Checkpoint


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
        self._seen_to: dict[Pair, datetime] = {}
        self._streamed: Mapping[Pair, datetime] = {}

    def tick(self) -> TickReport:
        """Catches up in bounded windows. What fails is left at its checkpoint for the next tick; the rest goes on."""
        report, now = TickReport(), self._context.now()
        running, every = self._context.ledger.running(), self._context.settings.schedule.every
        waiting = self._put_off.waiting(running, now=now, longest=every)
        settle_alarms(self._context)
        self._context.rules.trust_all_but(distrusted(self._context))
        recorder = Recorder(self._context, report, stopping=self._stopping)
        self._replay(recorder, report)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="feed") as threads:
            feeder = Feeder(
                self._context,
                threads,
                width=self._threads,
                stopping=self._stopping,
                on_batch=self._on_batch,
                allowance=recorder.allowance,
                again=self._paid_for,
            )
            failed = self._catch_up(feeder, recorder, report, now, waiting)
        self._put_off.add(failed, running, until=Every(every).next(now))
        self._write_health(report, waiting={identity for identity, _ in waiting})
        return report

    def _catch_up(
        self, feeder: Feeder, recorder: Recorder, report: TickReport, now: datetime, waiting: frozenset[Pair]
    ) -> set[Pair]:
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
                apart=self._troubled(deployments, recorder),
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
                failed |= self._took(fed, recorder, report)
            if self._by_schedule and next_due(deployments, settings, after=now) <= self._context.now():
                break  # the others are due again: who has to catch up goes on in the next tick, beside them
        return failed

    def _troubled(self, deployments: Collection[Deployment], recorder: Recorder) -> frozenset[str]:
        """Those that lately took much time or a worker, and may do so again."""
        much = cost_of("timeout")
        return frozenset(
            one.identity for one in deployments if one.strikes or recorder.spent_of[one.deploy_digest] >= much
        )

    def _paid_for(self, deployment: Deployment, request: ScanRequest) -> frozenset[FailureKey]:
        """The failures before its checkpoint, where the window overlaps with what was seen."""
        seen_to = self._seen_to.get((deployment.identity, request.table), request.window.start)
        if deployment.mode is not Mode.RECORD or seen_to <= request.window.start:
            return frozenset()
        known = Failures(self._context.database)
        return known.open_between(deployment.identity, request.table, request.window.start, seen_to)

    def _replay(self, recorder: Recorder, report: TickReport) -> None:
        """What earlier versions failed on, for those that a new version is live of."""
        for deployment in due_replays(self._context):
            recorder.alone(deployment, partial(self._replay_of, deployment, report))

    def _replay_of(self, deployment: Deployment, report: TickReport) -> None:
        replayed = replay_failures(self._context, deployment, stopping=self._stopping)
        report.matches += replayed.matches
        report.opened += replayed.opened
        report.updated += replayed.updated
        report.settled += replayed.settled
        if replayed.error:
            report.errors[deployment.identity] = f"replaying its failures: {replayed.error}"

    def _took(self, fed: Fed, recorder: Recorder, report: TickReport) -> set[Pair]:
        """One scan, recorded for each of its detections; returns the (identity, table) pairs that it failed for."""
        planned, table = fed.planned, fed.planned.request.table
        if fed.summary is None:
            said = f"table {table}: {fed.error} [{fed.error.code}]" if fed.error else ""
            report.errors |= {member.identity: said for member in planned.members}
            return {(member.identity, table) for member in planned.members}
        report.scans.append(fed.summary)
        for found in fed.findings:
            report.ran.add(found.deployment.identity)
            streamed = self._streamed.get((found.deployment.identity, table))
            recorder.take(found, planned.request, fed.summary, streamed=streamed)
        return {(found.deployment.identity, table) for found in fed.findings if found.error and not found.breaches}

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
        self._streamed = {pair: one.streamed for pair, one in checkpoints.items() if one.streamed}
        return checkpoints


def _ahead(table: str, checkpoint: Checkpoint, now: datetime) -> str:
    return (
        f"table {table}: it was read up to {checkpoint.position:%Y-%m-%d %H:%M:%S}, and the clock says "
        f"{now:%Y-%m-%d %H:%M:%S}: nothing is read until then. Set the clock right; where it went ahead before, give "
        "the detection a schedule.start at which it begins again"
    )
