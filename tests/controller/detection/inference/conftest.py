"""Records out of Arrow data, through the same bytes that a worker gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pyarrow as pa
import pytest

from trapline.detection.inference.reads import Read
from trapline.query.pruning import prune
from trapline.workers.interface import Sieve
from trapline.workers.wire import batch_frame
from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import PREFIX_BYTES, header_length
from trapline_sandbox.record import Record, records


def _fields(batch: pa.RecordBatch, sieve: Sieve | None = None) -> Fields:
    raw = memoryview(b"".join(batch_frame(batch, 1, sieve=sieve)))
    at = PREFIX_BYTES + header_length(bytes(raw[:PREFIX_BYTES]))
    header, buffers = json.loads(bytes(raw[PREFIX_BYTES:at])), []
    for length in header["buffers"]:
        buffers.append(raw[at : at + length])
        at += length
    return Fields(header["batch"], buffers)


def _records(batch: pa.RecordBatch) -> list[Record]:
    return records(_fields(batch), range(batch.num_rows))


@pytest.fixture(scope="session")
def records_of() -> Callable[[pa.RecordBatch], list[Record]]:
    return _records


def _partial(batch: pa.RecordBatch, reads: Iterable[Read]) -> tuple[list[Record], Fields]:
    """The records with nothing but what is read, as a scan reads them, and where it is noted that one misses more."""
    schema = prune(batch.schema, [_there(read, batch.schema) for read in reads]).schema
    arrays = [_only(batch.column(field.name), field) for field in schema]
    narrow = pa.RecordBatch.from_arrays(arrays, schema=schema) if arrays else batch.select([])
    fields = _fields(narrow, Sieve(batch.schema))
    return records(fields, range(batch.num_rows)), fields


def _there(read: Read, schema: pa.Schema) -> Read:
    """The read; of a struct that has no such field, another of its fields: that is how one sees that it has not."""
    kind: pa.DataType = pa.struct(schema)
    for length, name in enumerate(read.path):
        if not pa.types.is_struct(kind):
            break
        if length and kind.get_field_index(name) < 0:
            return Read((*read.path[:length], kind.field(0).name), whole=True)
        if kind.get_field_index(name) < 0:
            break
        kind = kind.field(name).type
    return read


def _only(array: pa.Array, field: pa.Field) -> pa.Array:
    if not pa.types.is_struct(field.type):
        return array
    inside = dict(zip((each.name for each in array.type), array.flatten(), strict=True))
    arrays = [_only(inside[each.name], each) for each in field.type]
    mask = None if field.metadata else array.is_null()  # or nobody read whether it is there
    return pa.StructArray.from_arrays(arrays, fields=list(field.type), mask=mask)


@pytest.fixture(scope="session")
def partial() -> Callable[[pa.RecordBatch, Iterable[Read]], tuple[list[Record], Fields]]:
    return _partial
