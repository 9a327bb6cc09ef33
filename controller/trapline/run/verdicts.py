"""What a rule says of a batch, brought out of its worker and turned into matches and failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from trapline.alerts.failures import Failure
from trapline.alerts.match import Match, match_id
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Mode
from trapline.run.context import Context
from trapline.run.payload import pack
from trapline.settings import Settings
from trapline.window import Window
from trapline.workers.answer import complete
from trapline.workers.interface import BatchReply, Rule, Sieve, WorkerError
from trapline.workers.limits import limits_of
from trapline.workers.poison import run_each
from trapline.workers.wire import full_records

_AT_ONCE = 256

FUNCTIONS = 8
"""The functions of a script: a record may fail in each."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record that a rule said something about: what makes it itself, its time, and the record as JSON."""

    key: str
    at: datetime | None
    record: str | None


def rule_of(deployment: Deployment) -> Rule:
    """What a worker loads of a deployment."""
    return Rule(deployment.name, deployment.mode.script, deployment.mode.value)


def run_batch(
    context: Context,
    deployment: Deployment,
    batch: pa.RecordBatch,
    *,
    source: str,
    failures: int | None = None,
    sieve: Sieve | None = None,
) -> BatchReply:
    """The verdicts of one detection on one batch, with what it printed put into its log. Raises WorkerError.

    It gives up after so many `failures`, by default what the error budget allows. With a `sieve`, only rows are told.
    """
    rule = rule_of(deployment)
    limits = limits_of(context.settings, deployment.config.limits)
    limits = limits if failures is None else replace(limits, failures=failures)

    def run(part: pa.RecordBatch) -> BatchReply:
        with context.pool.worker(deployment.build_digest, rule, limits) as worker:
            return worker.run(part, sieve=sieve)

    printed = ""
    try:
        # A batch rule reasons over all of its records, so none of them alone can be to blame.
        reply = run_each(run, batch, limits) if deployment.mode is Mode.RECORD else run(batch)
        printed = reply.log
    except WorkerError as error:
        printed = error.log
        raise
    finally:
        if printed:
            build, now = deployment.build_digest, context.now()
            context.logs.append(deployment.identity, build_digest=build, source=source, text=printed, now=now)
    return reply


def collect(
    settings: Settings,
    deployment: Deployment,
    table: str,
    window: Window,
    batch: pa.RecordBatch,
    reply: BatchReply,
    row_of: Callable[[int, dict[str, Any]], Row],
) -> tuple[list[Match], list[Failure]]:
    """A reply as matches and failures. Full records are made for these only, never for the rest of the batch.

    `row_of` is given the number of a row in the batch, and its record.
    """
    last_moment = window.end - timedelta(microseconds=1)
    answered = [match.row for match in reply.matches] + [failure.row for failure in reply.failures]
    numbers = sorted({row for row in answered if row is not None})
    rows: dict[int, Row] = {}
    for start in range(0, len(numbers), _AT_ONCE):  # as dicts they are many times as large
        some = numbers[start : start + _AT_ONCE]
        rows |= {number: row_of(number, record) for number, record in zip(some, full_records(batch, some), strict=True)}
    matches, failures = [], []

    def fail(number: int | None, function: str, error: str, *, file: str = "", line: int = 0, outcome: str) -> None:
        row = Row("", None, None) if number is None else rows[number]
        payload = None if number is None else pack(batch, number)
        at = row.at or last_moment
        record = None if row.record is None else json.loads(row.record)
        failures.append(Failure(function, error, file, line, at, record, outcome, row.key, payload))

    for match in reply.matches:
        answer = complete(match, deployment.config, default_destinations=settings.default_destinations)
        if match.row is None:
            # A batch rule's conclusion about its window: the same window, the same match.
            context = json.dumps(answer.context, sort_keys=True)
            row = Row(f"{window} {answer.title} {answer.dedupe} {context}", None, None)
        else:
            row = rows[match.row]
        id, event_at = match_id(deployment.identity, table, row.key), row.at or last_moment
        matches.append(Match(id, event_at, answer, row.record))
        for note in answer.notes:
            fail(match.row, "severity", note, outcome="raised")
    for one in reply.failures:
        fail(one.row, one.function, one.error, file=one.file, line=one.line, outcome=one.outcome)
    return matches, failures
