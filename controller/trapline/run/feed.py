"""Feeding workers: a scan's batches to every detection on it, and what they said turned into matches and failures."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from trapline.alerts.record import Failure, Match, ScanSummary, match_id
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.errors import TraplineError
from trapline.run.context import Context
from trapline.run.plan import PlannedScan
from trapline.workers.answer import complete
from trapline.workers.interface import BatchReply, Rule
from trapline.workers.wire import full_records
from trapline_plugins.text import one_line
from trapline_sandbox.record import jsonable

log = logging.getLogger("trapline")

LOGGED = 2_000  # characters of what a rule printed over one batch


class Interrupted(Exception):
    """The controller is stopping; the window was not seen whole and will be read again."""


@dataclass(slots=True)
class Findings:
    """What one detection said about one scan. With an `error` the window counts as not seen and is read again."""

    deployment: Deployment
    matches: list[Match] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    error: str = ""
    twins: Counter[str] = field(default_factory=Counter)  # records without an id, by their content


class Feeder:
    """Runs scans through warm workers, the detections of a scan side by side."""

    def __init__(
        self,
        context: Context,
        threads: ThreadPoolExecutor,
        *,
        stopping: Callable[[], bool] = lambda: False,
        on_batch: Callable[[], Any] = lambda: None,
    ) -> None:
        self._context = context
        self._threads = threads
        self._stopping = stopping
        self._on_batch = on_batch

    def feed(self, planned: PlannedScan) -> tuple[ScanSummary, list[Findings]]:
        """Raises QueryError where the scan cannot be done, Interrupted on stopping; one rule's error is a finding."""
        request, started_at, started = planned.request, self._context.now(), time.monotonic()
        findings = [Findings(member) for member in planned.members]
        whole_window: list[pa.RecordBatch] = []
        keep_window = any(member.mode is Mode.BATCH for member in planned.members)
        records = 0
        with self._context.engine.scan(request) as scan:
            for batch in scan.batches():
                if self._stopping():
                    raise Interrupted
                records += batch.num_rows
                self._offer(planned, [f for f in findings if f.deployment.mode is Mode.RECORD], batch)
                if keep_window:
                    whole_window.append(batch)
        if whole_window:
            self._offer_whole(planned, [f for f in findings if f.deployment.mode is Mode.BATCH], whole_window)
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
        deployment = findings.deployment
        rule = Rule(deployment.name, deployment.mode.script, deployment.mode.value)
        try:
            with self._context.pool.worker(deployment.build_digest, rule, self._context.limits) as worker:
                reply = worker.run(batch)
            self._on_batch()
            if reply.log:
                log.info("%s printed: %s", deployment.name, one_line(reply.log, LOGGED))
            self._collect(planned, findings, batch, reply)
        except TraplineError as error:
            findings.error = str(error)
        except Exception as error:  # the boundary between one detection and the others on its scan
            findings.error = f"running it failed in Trapline itself: {error!r}"

    def _collect(self, planned: PlannedScan, findings: Findings, batch: pa.RecordBatch, reply: BatchReply) -> None:
        """Full records are made for matches and failures only, never for the rest of the batch."""
        config, table = findings.deployment.config, planned.request.table
        last_moment = planned.request.window.end - timedelta(microseconds=1)
        answered = [match.row for match in reply.matches] + [failure.row for failure in reply.failures]
        numbers = sorted({row for row in answered if row is not None})
        rows = {
            number: self._row(table, record, findings.twins)
            for number, record in zip(numbers, full_records(batch, numbers), strict=True)
        }
        for match in reply.matches:
            answer = complete(match, config, default_destinations=self._context.settings.default_destinations)
            if match.row is None:
                # A batch rule's conclusion about its window: the same window, the same match.
                context = json.dumps(answer.context, sort_keys=True)
                row = _Row(f"{planned.request.window} {answer.title} {answer.dedupe} {context}", None, None)
            else:
                row = rows[match.row]
            id, event_at = match_id(findings.deployment.identity, table, row.key), row.at or last_moment
            findings.matches.append(Match(id, event_at, answer, row.record))
            findings.failures += [Failure("severity", note, "", 0, event_at, row.record) for note in answer.notes]
        for failure in reply.failures:
            at, record = last_moment, None
            if failure.row is not None:
                at, record = rows[failure.row].at or last_moment, rows[failure.row].record
            findings.failures.append(Failure(failure.function, failure.error, failure.file, failure.line, at, record))

    def _row(self, table: str, record: dict[str, Any], twins: Counter[str]) -> _Row:
        """A record with what makes it itself: its unique id where it has one, else all that is in it.

        Records without an id that are equal in everything are told apart by counting them within their window.
        """
        settings = self._context.settings.tables[table]
        time_, id = record.get(settings.time), _at(record, settings.id)
        at, plain = time_ if isinstance(time_, datetime) else None, jsonable(record)
        if id is not None:
            return _Row(f"id {id}", at, plain)
        key = f"content {hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}"
        twins[key] += 1
        return _Row(key if twins[key] == 1 else f"{key} {twins[key]}", at, plain)


@dataclass(frozen=True, slots=True)
class _Row:
    """One record that a rule said something about: what makes it itself, its time, and the record as plain JSON."""

    key: str
    at: datetime | None
    record: dict[str, Any] | None


def _at(record: Mapping[str, Any], path: str | None) -> Any:
    value: Any = record
    for part in (path or "").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
