"""A trial for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trapline.author.trial.bench import EXAMPLES
from trapline.author.trial.outcome import Found, Trial
from trapline.author.trial.preview import as_text
from trapline.author.trial.values import tree
from trapline.workers.interface import FailureReply, ProbeReply
from trapline_sandbox.record import jsonable


def as_plain(trial: Trial, now: datetime) -> dict[str, Any]:
    """A trial for programs."""
    return {
        "detection": trial.detection.name,
        "path": trial.detection.path,
        "samples": [
            {
                "table": sample.table,
                "window": {"start": sample.window.start, "end": sample.window.end},
                "records": sample.count,
                "whole": sample.whole,
                "fetched_at": sample.fetched_at,
                "bytes_scanned": sample.bytes_scanned,
            }
            for sample in trial.samples
        ],
        "records": trial.records,
        "matches": len(trial.matches),
        "suppressed": sum(found.suppressed for found in trial.matches),
        "alerts": len(trial.alerts),
        "failures": len(trial.failures),
        "complete": trial.complete,
        "seconds": round(trial.seconds, 3),
        "examples": [_plain_match(trial, found) for found in trial.matches[:EXAMPLES]],
        "failed": [{"record": one.number, **_failure(one.failure)} for one in trial.failures[:EXAMPLES]],
        "alert": as_text(trial, trial.alerts[0], now) if trial.alerts else None,
        "near_misses": [
            {"but_for": near.part, "records": near.count, "examples": [trial.number(sample, row) for row in near.rows]}
            for sample, near in trial.near
        ],
        "printed": trial.log,
    }


def plain_probe(trial: Trial, number: int, reply: ProbeReply) -> dict[str, Any]:
    """A probe for programs."""
    lines = tree(trial.detection.files[trial.detection.script].content, reply)
    return {
        "record": number,
        "answer": reply.answer,
        "returned_at": reply.returned or None,
        "failure": _failure(reply.failure) if reply.failure else None,
        "values": [{"line": one.line, "depth": one.depth, "text": one.text, "value": one.value} for one in lines],
    }


def _failure(failure: FailureReply) -> dict[str, Any]:
    return {"file": failure.file, "line": failure.line, "error": failure.error}


def _plain_match(trial: Trial, found: Found) -> dict[str, Any]:
    fields = () if found.number is None else trial.decided(trial.record(found.number))
    return {
        "record": found.number,
        "at": found.at,
        "title": found.answer.title,
        "dedupe": found.answer.dedupe,
        "severity": found.answer.severity.value,
        "fields": {name: jsonable(value) for name, value in fields},
    }
