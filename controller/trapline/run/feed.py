"""Feeding workers: a scan's batches to every detection on it, and what they said turned into matches and failures."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import Any

import pyarrow as pa

from trapline.alerts.failures import FailureKey
from trapline.alerts.origin import ScanSummary
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.query.engine import Scan, ScanBatch, ScanRequest, Wanted
from trapline.run.budget import check_budget
from trapline.run.context import Context
from trapline.run.findings import Findings, blamed
from trapline.run.plan import PlannedScan
from trapline.run.rules import NOTHING, Known, wanted_by
from trapline.run.sift import Rows, let_through, shares, sieved
from trapline.run.verdicts import Row, collect, run_batch
from trapline.run.whole import Piece, fetched
from trapline.state.costs import Costs
from trapline.workers.interface import BatchReply, Limits
from trapline.workers.limits import limits_of
from trapline_sandbox.record import jsonable

_MOST_HELD = 20_000
"""So many records are fetched whole at a time, and what one more batch leaves of them."""

_MOST_TOGETHER = 8_192
"""So many of them are given to a worker at a time."""

_LOOK = 0.5  # seconds until a scan that waits for its engine sees that it need not


class Interrupted(Exception):
    """The controller is stopping; the window was not seen whole and will be read again."""


class Feeder:
    """Runs scans through warm workers, the detections of a scan side by side."""

    def __init__(
        self,
        context: Context,
        threads: ThreadPoolExecutor,
        *,
        width: int = 1,
        stopping: Callable[[], bool] = lambda: False,
        on_batch: Callable[[], Any] = lambda: None,
        allowance: Callable[[Deployment], int] = lambda _: sys.maxsize,
        again: Callable[[Deployment, ScanRequest], frozenset[FailureKey]] = lambda *_: frozenset(),
    ) -> None:
        """`width` is how many of the threads there are; `allowance` says what the failures of a deployment may cost,
        and `again` which failures of a scan were paid for."""
        self._context = context
        self._threads = threads
        self._width = width
        self._allowance = allowance
        self._again = again
        self._stopping = stopping
        self._on_batch = on_batch

    def feed(self, planned: PlannedScan) -> tuple[ScanSummary, list[Findings]]:
        """Raises QueryError where the scan cannot be done, Interrupted on stopping; one rule's error is a finding.

        Thread-safe: several scans may be fed side by side.
        """
        request, started_at, started = planned.request, self._context.now(), time.monotonic()
        findings = [
            Findings(member, self._allowance(member), self._known(member), self._again(member, request))
            for member in planned.members
        ]
        wanted = self._wanted(findings)
        check_budget(self._context, request, wanted)
        with self._context.engine.scan(request, wanted) as scan:
            try:
                self._read(planned, scan, findings)
                records = scan.count()
            finally:
                self._charge(planned, scan)
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

    def _known(self, deployment: Deployment) -> Known:
        return self._context.rules.of(deployment) if self._context.settings.inference.enabled else NOTHING

    def _wanted(self, findings: Sequence[Findings]) -> Wanted:
        audit = self._context.settings.inference.audit_fraction
        return wanted_by([one.rule for one in findings], [one.where for one in findings], audit=audit)

    def _charge(self, planned: PlannedScan, scan: Scan) -> None:
        """What was read is paid for, whatever became of it."""
        members = [member.identity for member in planned.members]
        costs, now = Costs(self._context.database), self._context.now()
        costs.add(planned.request.table, members, queries=scan.queries, bytes=scan.bytes_scanned, at=now)

    def _read(self, planned: PlannedScan, scan: Scan, findings: Sequence[Findings]) -> None:
        """Brings the records of a scan past its detections."""
        by_record = [one for one in findings if one.deployment.mode is Mode.RECORD]
        by_window = [one for one in findings if one.deployment.mode is Mode.BATCH]
        windows: dict[str | None, list[pa.RecordBatch]] = {one.where: [] for one in by_window}
        most = min([_MOST_TOGETHER, *(self._limits(member).matches for member in planned.members)])
        pieces: list[Piece] = []
        for batch in self._ahead(scan):
            pieces += self._sift(planned, by_record, batch, scan.schema)
            if batch.positions is None or sum(map(len, pieces)) >= _MOST_HELD:
                self._run(planned, fetched(scan, pieces, width=self._width, most=most))
                pieces = []
            for where, held in windows.items():
                held.append(batch.records if where is None else batch.records.filter(batch.where[where]))
        self._run(planned, fetched(scan, pieces, width=self._width, most=most))
        for where, held in windows.items():
            self._show_window(planned, [one for one in by_window if one.where == where], held)

    def _ahead(self, scan: Scan) -> Iterator[ScanBatch]:
        """The batches, each read while the one before it is worked on. Raises Interrupted on stopping, at once."""
        batches = scan.batches()
        with ThreadPoolExecutor(1, thread_name_prefix="scan") as thread:
            coming = thread.submit(next, batches, None)
            while (batch := self._awaited(coming, scan)) is not None:
                coming = thread.submit(next, batches, None)
                yield batch

    def _awaited(self, coming: Future[ScanBatch | None], scan: Scan) -> ScanBatch | None:
        while not coming.done() or self._stopping():
            if self._stopping():
                scan.cancel()
                raise Interrupted
            wait([coming], timeout=_LOOK)
        return coming.result()

    def _sift(
        self, planned: PlannedScan, findings: Sequence[Findings], batch: ScanBatch, schema: pa.Schema
    ) -> list[Piece]:
        """What of a batch has to be shown to the detections that have not failed yet."""
        going_on = [one for one in findings if not one.error]
        allowed = let_through(batch, [one.rule for one in going_on], [one.where for one in going_on], schema)
        each = self._width // max(1, len(going_on))
        tasks = [(one, part) for one, rows in zip(going_on, allowed, strict=True) for part in shares(rows, each)]

        def sift(task: tuple[Findings, Rows]) -> Piece | None:
            one, rows = task
            with blamed(one):
                left = sieved(self._context, one.deployment, one.rule, batch, rows, schema, _source(planned))
                if len(left):
                    return Piece.of(one, batch, left)
            return None

        sifted = [piece for piece in self._threads.map(sift, tasks) if piece is not None]
        self._on_batch()
        return sifted

    def _limits(self, deployment: Deployment) -> Limits:
        return limits_of(self._context.settings, deployment.config.limits)

    def _show_window(
        self, planned: PlannedScan, listeners: Sequence[Findings], batches: Sequence[pa.RecordBatch]
    ) -> None:
        """A batch rule reasons over all records of its window, so it gets them together, once; nothing of none."""
        whole = pa.Table.from_batches(batches).combine_chunks().to_batches() if batches else []
        if not sum(batch.num_rows for batch in whole):
            return
        if len(whole) == 1:
            self._run(planned, [Piece(findings, whole[0], fetched=True, audited=frozenset()) for findings in listeners])
            return
        for findings in listeners:  # Arrow's limit is 2 GiB of text in one column
            findings.error = (
                f"the window {planned.request.window} of {planned.request.table} is too large for one batch: "
                "shorten schedule.longest_window in trapline.yml, or narrow [query] where"
            )

    def _run(self, planned: PlannedScan, pieces: Iterable[Piece]) -> None:
        """Records to the detections that have not failed yet, and their verdicts added to what these found."""

        def run(piece: Piece) -> BatchReply | None:
            if not piece.findings.error:
                with blamed(piece.findings):
                    deployment, known = piece.findings.deployment, len(piece.findings.again)
                    most = self._limits(deployment).failures + known if known else None
                    return run_batch(self._context, deployment, piece.records, source=_source(planned), failures=most)
            return None

        several = list(pieces)
        for piece, reply in zip(several, self._threads.map(run, several), strict=True):
            if reply is not None and not piece.findings.error:
                with blamed(piece.findings):
                    self._take(planned, piece, reply)
        self._on_batch()

    def _take(self, planned: PlannedScan, piece: Piece, reply: BatchReply) -> None:
        findings, table = piece.findings, planned.request.table

        def row_of(_: int, record: dict[str, Any]) -> Row:
            return self._row(table, record, findings.twins)

        settings, window = self._context.settings, planned.request.window
        found = collect(settings, findings.deployment, table, window, piece.records, reply, row_of)
        spoken_of = {match.row for match in reply.matches} | {failure.row for failure in reply.failures}
        findings.breaches += len(spoken_of & piece.audited)
        findings.add(*found, complete=reply.complete)

    def _row(self, table: str, record: dict[str, Any], twins: Counter[str]) -> Row:
        """A record with what makes it itself: its unique id where it has one, else all that is in it.

        Records without an id that are equal in everything are told apart by counting them within their window, which
        has all of them or none, since their times are equal too.
        """
        settings = self._context.settings.tables[table]
        time_, id = record.get(settings.time), _at(record, settings.id)
        at, plain = time_ if isinstance(time_, datetime) else None, jsonable(record)
        if id is not None:
            return Row(f"id {id}", at, json.dumps(plain))
        key = f"content {hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}"
        twins[key] += 1
        return Row(key if twins[key] == 1 else f"{key} {twins[key]}", at, json.dumps(plain))


def _source(planned: PlannedScan) -> str:
    return f"{planned.request.table} {planned.request.window}"


def _at(record: Mapping[str, Any], path: str | None) -> Any:
    value: Any = record
    for part in (path or "").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
