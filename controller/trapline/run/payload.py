"""A record with its types as bytes: what is set aside today must reach a rule tomorrow as it would have today."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from trapline.errors import TraplineError

_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def pack(batch: pa.RecordBatch, row: int) -> bytes:
    """One record of a batch, as a compressed Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as writer:
        writer.write_batch(batch.slice(row, 1))
    return bytes(sink.getvalue())


def unpack(payloads: Sequence[bytes]) -> list[tuple[pa.RecordBatch, list[int]]]:
    """Batches of equal schema, each with the places in `payloads` that its rows are from.

    Raises TraplineError where the bytes are not as `pack` made them.
    """
    groups: list[tuple[pa.Schema, list[pa.RecordBatch], list[int]]] = []
    for index, payload in enumerate(payloads):
        try:
            with pa.ipc.open_stream(payload) as reader:
                record = reader.read_next_batch()
        except (pa.ArrowException, StopIteration, OSError) as error:
            raise TraplineError(f"a record that was set aside cannot be read back: {error}") from error
        group = next((group for group in groups if group[0].equals(record.schema)), None)
        if group is None:
            group = (record.schema, [], [])
            groups.append(group)
        group[1].append(record)
        group[2].append(index)
    return [
        (pa.Table.from_batches(records, schema).combine_chunks().to_batches()[0], places)
        for schema, records, places in groups
    ]
