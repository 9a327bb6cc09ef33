"""Rules and events of these tests, and a converted rule as production runs it: on records out of Arrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import yaml

from trapline.author.sigma.convert import Converted, convert
from trapline.config.document import read_document
from trapline.errors import Problem
from trapline.tables.cloudtrail import SCHEMA, normalise
from trapline.workers.wire import batch_frame
from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import PREFIX_BYTES
from trapline_sandbox.record import Record, records

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def rule(detection: Mapping[str, Any], **others: Any) -> str:
    """The text of a rule on CloudTrail."""
    base = {"title": "A rule of the tests", "logsource": {"product": "aws", "service": "cloudtrail"}}
    return yaml.safe_dump({**base, "detection": detection, **others}, allow_unicode=True, sort_keys=False)


def converted(text: str) -> tuple[Converted | None, list[Problem]]:
    return convert(read_document("rule.yml", text.encode()), name="a_rule", table="aws_cloudtrail")


def script(text: str) -> str:
    """The script of a rule that can be converted."""
    found, problems = converted(text)
    assert found, problems
    return found.script


def detect(code: str) -> Callable[[Record], Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "detect.py", "exec"), names)
    function: Callable[[Record], Any] = names["detect"]
    return function


def batch_of(events: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """The events as the table has them."""
    return _batch([normalise({"eventTime": "2026-11-21T10:00:00Z", **event}) for event in events])


def normalised(events: Sequence[Mapping[str, Any]]) -> list[Record]:
    """The events as records of the table, through the same bytes that a worker gets."""
    return _records(batch_of(events))


def of_table(rows: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Rows of the table as its records."""
    return _records(_batch(rows))


def _batch(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"ts": NOON, **row} for row in rows], schema=SCHEMA)


def _records(batch: pa.RecordBatch) -> list[Record]:
    head, *buffers = batch_frame(batch, 0)
    return records(Fields(json.loads(bytes(head[PREFIX_BYTES:]))["batch"], buffers), range(batch.num_rows))
