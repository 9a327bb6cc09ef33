"""Records out of Arrow data, through the same bytes that a worker gets, and the values at their paths."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from trapline.detection.inference.predicate import ANYTHING, Path, Predicate, holds
from trapline.workers.wire import batch_frame
from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import PREFIX_BYTES, header_length
from trapline_sandbox.record import Record, records


def _records(batch: pa.RecordBatch) -> list[Record]:
    raw = memoryview(b"".join(batch_frame(batch, 1)))
    at = PREFIX_BYTES + header_length(bytes(raw[:PREFIX_BYTES]))
    header, buffers = json.loads(bytes(raw[PREFIX_BYTES:at])), []
    for length in header["buffers"]:
        buffers.append(raw[at : at + length])
        at += length
    return records(Fields(header["batch"], buffers), range(batch.num_rows))


def _at(record: Record, path: Path) -> Any:
    value: Any = record
    for name in path:
        if isinstance(value, list | dict):
            return ANYTHING
        value = value.get(name) if isinstance(value, Record) else None
    return value


class Meaning:
    """What a predicate means, in Python, for the rows of a batch."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._records = _records(batch)

    def of(self, predicate: Predicate) -> list[bool]:
        return [holds(predicate, lambda path, record=record: _at(record, path)) for record in self._records]


@pytest.fixture(scope="session")
def meaning_of() -> type[Meaning]:
    return Meaning
