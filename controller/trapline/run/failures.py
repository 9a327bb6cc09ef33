"""Failures, replayed: what an earlier version failed on is brought past the one that is live now."""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from trapline.alerts.failures import Failures, tried
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.record import Recorded, record
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.errors import TraplineError
from trapline.query.engine import ScanRequest
from trapline.run.context import Context
from trapline.run.feed import Feeder
from trapline.run.findings import Findings, blamed
from trapline.run.payload import unpack
from trapline.run.plan import PlannedScan
from trapline.run.verdicts import FUNCTIONS, Row, collect, run_batch
from trapline.window import Window

_Rows = list[Mapping[str, Any]]


@dataclass(slots=True)
class FailureReplay:
    """What came of replaying one detection's failures; `error` is why some could not be."""

    tried: int = 0
    settled: int = 0
    matches: int = 0
    opened: int = 0
    updated: int = 0
    error: str = ""


def origin_of(deployment: Deployment) -> Origin:
    """The deployment, as what it finds is recorded."""
    return Origin(
        deployment.identity,
        deployment.config,
        deployment.revision,
        deployment.build_digest,
        deployment.deploy_digest,
    )


def due_replays(context: Context) -> list[Deployment]:
    """The deployments with failures of earlier versions that they have not tried yet."""
    running = context.ledger.running()
    due = Failures(context.database).due({identity: one.deploy_digest for identity, one in running.items()})
    return [one for identity, one in running.items() if identity in due]


def replay_failures(
    context: Context, deployment: Deployment, *, stopping: Callable[[], bool] = lambda: False
) -> FailureReplay:
    """Brings every open failure of a detection past what is live of it; what does not come again is settled.

    A record that was set aside goes by itself. A window that failed as a whole is scanned again, and so is the window
    of a record where the rule takes all records at once. What is found is recorded as if it had been found then. What
    cannot be had now is tried again; what this version cannot get through waits for the next one.
    """
    report = FailureReplay()
    groups: dict[tuple[str, Window, bool], _Rows] = defaultdict(list)
    for row in Failures(context.database).newest(deployment.identity):
        if row["window_end"] is not None:  # else an earlier Trapline kept too little of it
            alone = row["payload"] is not None and deployment.mode is Mode.RECORD
            groups[row["table_name"], Window(row["window_start"], row["window_end"]), alone].append(row)
    for (table, window, alone), rows in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0])):
        if stopping():
            break
        summary: ScanSummary | None
        if alone:
            summary, findings = _records_again(context, deployment, table, window, rows)
        elif table in deployment.config.tables and table in context.settings.tables:
            summary, findings = _window_again(context, deployment, table, window)
        else:
            reason = f"the window {window} of {table} cannot be read again: the table is gone from the configuration"
            summary, findings = None, Findings(deployment, error=reason, its_fault=True)
        report.tried += len(rows)
        if summary is None or findings.error:
            _not_replayed(report, context, deployment, findings, rows)
        else:
            _replayed(report, context, deployment, summary, findings, rows)
    return report


def _replayed(
    report: FailureReplay,
    context: Context,
    deployment: Deployment,
    summary: ScanSummary,
    findings: Findings,
    rows: _Rows,
) -> None:
    done: Recorded = record(
        context.database,
        origin_of(deployment),
        summary,
        findings.matches,
        findings.failures,
        now=context.now(),
        replayed=[row["id"] for row in rows],
        policy=context.policy_of(deployment.identity),
    )
    report.settled += done.settled
    report.matches += done.new_matches
    report.opened += done.opened
    report.updated += done.updated


def _not_replayed(
    report: FailureReplay, context: Context, deployment: Deployment, findings: Findings, rows: _Rows
) -> None:
    report.error = findings.error
    if findings.its_fault:
        with context.database.transaction() as connection:
            tried(connection, [row["id"] for row in rows], deployment.deploy_digest)


def _records_again(
    context: Context, deployment: Deployment, table: str, window: Window, rows: _Rows
) -> tuple[ScanSummary, Findings]:
    """Records that were set aside, as they were, with the keys that they had."""
    started_at, started = context.now(), time.monotonic()
    findings = Findings(deployment)
    once = list({row["record_key"]: row for row in rows}.values())  # a record may have failed in two functions
    with blamed(findings):
        for batch, places in unpack([row["payload"] for row in once]):
            # However many of them fail again, each needs its verdict.
            most = len(places) * FUNCTIONS
            found = run_batch(context, deployment, batch, source=f"failures of {table} {window}", failures=most)

            def row_of(number: int, _: Mapping[str, Any], places: Sequence[int] = places) -> Row:
                row = once[places[number]]
                return Row(row["record_key"], row["event_at"], json.dumps(row["record"]))

            answers = collect(context.settings, deployment, table, window, batch, found, row_of)
            findings.add(*answers, complete=found.complete)
    seconds = time.monotonic() - started
    summary = ScanSummary(
        f"replay-{uuid.uuid4().hex}", table, window, started_at, seconds, len(once), 0, [deployment.name]
    )
    return summary, findings


def _window_again(
    context: Context, deployment: Deployment, table: str, window: Window
) -> tuple[ScanSummary | None, Findings]:
    planned = PlannedScan(ScanRequest(table, window), (deployment,))
    try:
        with ThreadPoolExecutor(1) as threads:
            summary, [findings] = Feeder(context, threads).feed(planned)
    except TraplineError as error:
        return None, Findings(deployment, error=str(error))
    return summary, findings
