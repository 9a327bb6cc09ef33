"""Records that rules have to be shown whole: those of a scan of all columns as they are, others fetched, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from trapline.query.engine import Scan, ScanBatch
from trapline.run.findings import Findings
from trapline.run.sift import Rows, taken


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records for one detection: the records themselves, or, where a scan read less than that, their positions.

    `audited` are the places, among these, of the records that it should have nothing to say of.
    """

    findings: Findings
    records: pa.RecordBatch
    fetched: bool
    audited: frozenset[int]

    @classmethod
    def of(cls, findings: Findings, batch: ScanBatch, rows: Rows) -> Piece:
        """These rows of a batch, of which nothing else is held on to."""
        audited = rows.audited and {at for at, number in enumerate(rows.numbers.to_pylist()) if number in rows.audited}
        held = batch.records if batch.positions is None else batch.positions
        return cls(findings, taken(held, rows.numbers), batch.positions is None, frozenset(audited))

    def __len__(self) -> int:
        return int(self.records.num_rows)


def fetched(scan: Scan, pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces with their records, those that several ask for fetched once. Raises QueryError."""
    places: dict[tuple[int, ...], int] = {}
    for piece in pieces:
        if not piece.fetched:
            for position in _positions(piece):
                places.setdefault(position, len(places))
    if not places:
        yield from pieces
        return
    schema = next(piece.records.schema for piece in pieces if not piece.fetched)
    columns = [pa.array(column, field.type) for column, field in zip(zip(*places, strict=True), schema, strict=True)]
    whole = scan.whole(pa.RecordBatch.from_arrays(columns, schema=schema))
    for piece in pieces:
        if piece.fetched:
            yield piece
        else:
            numbers = pa.array([places[position] for position in _positions(piece)], pa.int64())
            yield Piece(piece.findings, whole.take(numbers), fetched=True, audited=piece.audited)


def _positions(piece: Piece) -> Iterator[tuple[int, ...]]:
    return zip(*(column.to_pylist() for column in piece.records.columns), strict=True)
