"""Feeding workers: a scan's batches to every detection on it, and what they said turned into matches and failures."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from trapline.alerts.failures import Failure, cost_of
from trapline.alerts.origin import ScanSummary
from trapline.alerts.record import Match
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.errors import TraplineError
from trapline.query.engine import Scan, ScanBatch
from trapline.run.context import Context
from trapline.run.plan import PlannedScan
from trapline.run.rules import NOTHING, Known, wanted_by
from trapline.run.sift import Rows, let_through, shares, sieved, taken
from trapline.run.verdicts import Row, collect, run_batch
from trapline.workers.interface import BatchReply, WorkerError
from trapline_sandbox.record import jsonable

_MOST_HELD = 20_000
"""So many rows are fetched whole at a time, or one more batch of them."""

_NONE = pa.array([], pa.uint64())


class Interrupted(Exception):
    """The controller is stopping; the window was not seen whole and will be read again."""


@dataclass(slots=True)
class Findings:
    """What one detection said about one scan. With an `error` the window counts as not seen and is read again.

    `its_fault`: the error is the detection's own. `spent`: its failures cost more than its `allowance`. `breaches`
    counts the records that it had something to say of although its predicate does not hold for them.
    """

    deployment: Deployment
    allowance: int = sys.maxsize
    rule: Known = NOTHING
    matches: list[Match] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    error: str = ""
    its_fault: bool = False
    spent: bool = False
    breaches: int = 0
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


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows of a batch that a detection has to be shown whole."""

    findings: Findings
    batch: ScanBatch
    rows: Rows


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
    ) -> None:
        """`width` is how many of the threads there are; `allowance` says what the failures of a deployment may cost."""
        self._context = context
        self._threads = threads
        self._width = width
        self._allowance = allowance
        self._stopping = stopping
        self._on_batch = on_batch

    def feed(self, planned: PlannedScan) -> tuple[ScanSummary, list[Findings]]:
        """Raises QueryError where the scan cannot be done, Interrupted on stopping; one rule's error is a finding."""
        request, started_at, started = planned.request, self._context.now(), time.monotonic()
        inference = self._context.settings.inference
        rules = [self._context.rules.of(member) if inference.enabled else NOTHING for member in planned.members]
        findings = [
            Findings(member, self._allowance(member), rule) for member, rule in zip(planned.members, rules, strict=True)
        ]
        by_record = [one for one in findings if one.deployment.mode is Mode.RECORD]
        by_window = [one for one in findings if one.deployment.mode is Mode.BATCH]
        window: list[pa.RecordBatch] = []
        pieces: list[_Piece] = []
        wanted = wanted_by(rules, audit=inference.audit_fraction)
        with self._context.engine.scan(request, wanted) as scan:
            for batch in _ahead(scan.batches()):
                if self._stopping():
                    raise Interrupted
                pieces += self._sift(planned, by_record, batch, scan.schema)
                if batch.positions is None or sum(len(piece.rows) for piece in pieces) >= _MOST_HELD:
                    self._show(planned, scan, pieces)
                    pieces = []
                if by_window:
                    window.append(batch.records)
            self._show(planned, scan, pieces)
            records = scan.count()
        if window:
            self._show_window(planned, by_window, window)
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

    def _sift(
        self, planned: PlannedScan, findings: Sequence[Findings], batch: ScanBatch, schema: pa.Schema
    ) -> list[_Piece]:
        """What of a batch has to be shown to the detections that have not failed yet."""
        going_on = [one for one in findings if not one.error]
        allowed = let_through(batch, [one.rule for one in going_on], schema)
        each = self._width // max(1, len(going_on))
        tasks = [
            _Piece(one, batch, share)
            for one, rows in zip(going_on, allowed, strict=True)
            for share in shares(rows, each)
        ]

        def sift(task: _Piece) -> _Piece:
            rows = Rows(_NONE)
            with blamed(task.findings):
                deployment, rule = task.findings.deployment, task.findings.rule
                rows = sieved(self._context, deployment, rule, batch, task.rows, schema, _source(planned))
            return replace(task, rows=rows)

        sifted = list(self._threads.map(sift, tasks))
        self._on_batch()
        return [piece for piece in sifted if len(piece.rows)]

    def _show(self, planned: PlannedScan, scan: Scan, pieces: Sequence[_Piece]) -> None:
        """The rows of each piece, whole, to its detection."""
        if pieces:
            whole = _Whole.of(scan, pieces)
            self._run(planned, [(piece.findings, *whole.records(piece)) for piece in pieces])

    def _show_window(
        self, planned: PlannedScan, listeners: Sequence[Findings], batches: Sequence[pa.RecordBatch]
    ) -> None:
        """A batch rule reasons over all records of its window, so it gets them together, once."""
        whole = pa.Table.from_batches(batches).combine_chunks().to_batches()
        if len(whole) == 1:
            self._run(planned, [(findings, whole[0], frozenset()) for findings in listeners])
            return
        for findings in listeners:  # Arrow's limit is 2 GiB of text in one column
            findings.error = (
                f"the window {planned.request.window} of {planned.request.table} is too large for one batch: "
                "shorten schedule.longest_window in trapline.yml, or narrow [query] where"
            )

    def _run(self, planned: PlannedScan, tasks: Sequence[tuple[Findings, pa.RecordBatch, frozenset[int]]]) -> None:
        """Records to the detections that have not failed yet, and their verdicts added to what these found."""

        def run(task: tuple[Findings, pa.RecordBatch, frozenset[int]]) -> BatchReply | None:
            findings, records, _ = task
            if not findings.error:
                with blamed(findings):
                    return run_batch(self._context, findings.deployment, records, source=_source(planned))
            return None

        for (findings, records, audited), reply in zip(tasks, self._threads.map(run, tasks), strict=True):
            if reply is not None and not findings.error:
                with blamed(findings):
                    self._take(planned, findings, records, audited, reply)
        self._on_batch()

    def _take(
        self,
        planned: PlannedScan,
        findings: Findings,
        records: pa.RecordBatch,
        audited: frozenset[int],
        reply: BatchReply,
    ) -> None:
        deployment, table = findings.deployment, planned.request.table

        def row_of(_: int, record: dict[str, Any]) -> Row:
            return self._row(table, record, findings.twins)

        found = collect(self._context.settings, deployment, table, planned.request.window, records, reply, row_of)
        spoken_of = {match.row for match in reply.matches} | {failure.row for failure in reply.failures}
        findings.breaches += len(spoken_of & audited)
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


@dataclass(frozen=True, slots=True)
class _Whole:
    """The rows of several pieces with all of their columns, each once."""

    scan: Scan
    fetched: pa.RecordBatch | None
    places: Mapping[tuple[int, int], int]

    @classmethod
    def of(cls, scan: Scan, pieces: Sequence[_Piece]) -> _Whole:
        wanted: dict[int, set[int]] = defaultdict(set)
        batches = {id(piece.batch): piece.batch for piece in pieces if piece.batch.positions is not None}
        for piece in pieces:
            wanted[id(piece.batch)].update(piece.rows.numbers.to_pylist())
        if not batches:
            return cls(scan, None, {})
        numbers = [(key, number) for key in batches for number in sorted(wanted[key])]
        positions = [
            batch.positions.take(pa.array(sorted(wanted[key]), pa.uint64()))
            for key, batch in batches.items()
            if batch.positions is not None
        ]
        fetched = scan.whole(pa.Table.from_batches(positions).combine_chunks().to_batches()[0])
        return cls(scan, fetched, {number: place for place, number in enumerate(numbers)})

    def records(self, piece: _Piece) -> tuple[pa.RecordBatch, frozenset[int]]:
        """The records of a piece, and which of them are there for the audit."""
        numbers = piece.rows.numbers
        audited = frozenset(at for at, number in enumerate(numbers.to_pylist()) if number in piece.rows.audited)
        if self.fetched is None:
            return taken(piece.batch.records, numbers), audited
        key = id(piece.batch)
        places = [self.places[key, number] for number in numbers.to_pylist()]
        return self.fetched.take(pa.array(places, pa.uint64())), audited


def _ahead(batches: Iterator[ScanBatch]) -> Iterator[ScanBatch]:
    """The same, each read while the one before it is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="scan") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def _source(planned: PlannedScan) -> str:
    return f"{planned.request.table} {planned.request.window}"


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
