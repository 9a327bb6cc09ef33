"""Feeding workers: a scan's batches to every detection on it, and what they said turned into matches and failures."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from trapline.alerts.failures import Failure, cost_of
from trapline.alerts.origin import ScanSummary
from trapline.alerts.record import Match
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.errors import TraplineError
from trapline.run.context import Context
from trapline.run.plan import PlannedScan
from trapline.run.verdicts import Row, collect, run_batch
from trapline.workers.interface import WorkerError
from trapline_sandbox.record import jsonable


class Interrupted(Exception):
    """The controller is stopping; the window was not seen whole and will be read again."""


@dataclass(slots=True)
class Findings:
    """What one detection said about one scan. With an `error` the window counts as not seen and is read again.

    `its_fault`: the error is the detection's own. `spent`: its failures cost more than its `allowance`.
    """

    deployment: Deployment
    allowance: int = sys.maxsize
    matches: list[Match] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    error: str = ""
    its_fault: bool = False
    spent: bool = False
    twins: Counter[str] = field(default_factory=Counter)  # records without an id, by their content

    @property
    def cost(self) -> int:
        """What its failures cost of its error budget."""
        return sum(cost_of(failure.outcome) for failure in self.failures)

    def add(self, matches: Sequence[Match], failures: Sequence[Failure], *, complete: bool = True) -> None:
        """What it said about one batch; not `complete` where it failed too often to go on."""
        self.matches += matches
        self.failures += failures
        if not complete or self.cost > self.allowance:
            self.spent = self.its_fault = True
            often = "once" if len(self.failures) == 1 else f"{len(self.failures)} times"
            self.error = f"it failed {often}, the last time in {self.failures[-1]}"


class Feeder:
    """Runs scans through warm workers, the detections of a scan side by side."""

    def __init__(
        self,
        context: Context,
        threads: ThreadPoolExecutor,
        *,
        stopping: Callable[[], bool] = lambda: False,
        on_batch: Callable[[], Any] = lambda: None,
        allowance: Callable[[Deployment], int] = lambda _: sys.maxsize,
    ) -> None:
        """`allowance` says what the failures of a deployment may still cost."""
        self._context = context
        self._threads = threads
        self._allowance = allowance
        self._stopping = stopping
        self._on_batch = on_batch

    def feed(self, planned: PlannedScan) -> tuple[ScanSummary, list[Findings]]:
        """Raises QueryError where the scan cannot be done, Interrupted on stopping; one rule's error is a finding."""
        request, started_at, started = planned.request, self._context.now(), time.monotonic()
        findings = [Findings(member, self._allowance(member)) for member in planned.members]
        whole_window: list[pa.RecordBatch] = []
        keep_window = any(member.mode is Mode.BATCH for member in planned.members)
        records = 0
        with self._context.engine.scan(request) as scan:
            for batch in (scanned.records for scanned in scan.batches()):
                if self._stopping():
                    raise Interrupted
                records += batch.num_rows
                self._offer(planned, [f for f in findings if f.deployment.mode is Mode.RECORD], batch)
                if keep_window:
                    whole_window.append(batch)
        if whole_window:
            self._offer_whole(planned, [f for f in findings if f.deployment.mode is Mode.BATCH], whole_window)
        if self._stopping() and any(found.error or found.failures for found in findings):
            raise Interrupted  # a worker that ended with the controller would look like the fault of its rule
        summary = ScanSummary(
            query_id=scan.query_id,
            table=request.table,
            window=request.window,
            started_at=started_at,
            seconds=time.monotonic() - started,
            records=records,
            bytes_scanned=scan.bytes_scanned,
            detections=[member.name for member in planned.members],
        )
        return summary, findings

    def _offer_whole(
        self, planned: PlannedScan, listeners: Sequence[Findings], batches: Sequence[pa.RecordBatch]
    ) -> None:
        """A batch rule reasons over all records of its window, so it gets them together, once."""
        whole = pa.Table.from_batches(batches).combine_chunks().to_batches()
        if len(whole) == 1:
            self._offer(planned, listeners, whole[0])
            return
        for findings in listeners:  # Arrow's limit is 2 GiB of text in one column
            findings.error = (
                f"the window {planned.request.window} of {planned.request.table} is too large for one batch: "
                "shorten schedule.longest_window in trapline.yml, or narrow [query] where"
            )

    def _offer(self, planned: PlannedScan, listeners: Sequence[Findings], batch: pa.RecordBatch) -> None:
        """One batch to every listener that has not failed yet, and their verdicts added to what they found."""
        list(self._threads.map(lambda f: self._run(planned, f, batch), [f for f in listeners if not f.error]))

    def _run(self, planned: PlannedScan, findings: Findings, batch: pa.RecordBatch) -> None:
        deployment, table = findings.deployment, planned.request.table
        source = f"{table} {planned.request.window}"
        with blamed(findings):
            reply = run_batch(self._context, deployment, batch, source=source)
            self._on_batch()

            def row_of(_: int, record: dict[str, Any]) -> Row:
                return self._row(table, record, findings.twins)

            found = collect(self._context.settings, deployment, table, planned.request.window, batch, reply, row_of)
            findings.add(*found, complete=reply.complete)

    def _row(self, table: str, record: dict[str, Any], twins: Counter[str]) -> Row:
        """A record with what makes it itself: its unique id where it has one, else all that is in it.

        Records without an id that are equal in everything are told apart by counting them within their window.
        """
        settings = self._context.settings.tables[table]
        time_, id = record.get(settings.time), _at(record, settings.id)
        at, plain = time_ if isinstance(time_, datetime) else None, jsonable(record)
        if id is not None:
            return Row(f"id {id}", at, plain)
        key = f"content {hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}"
        twins[key] += 1
        return Row(key if twins[key] == 1 else f"{key} {twins[key]}", at, plain)


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


def _at(record: Mapping[str, Any], path: str | None) -> Any:
    value: Any = record
    for part in (path or "").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
