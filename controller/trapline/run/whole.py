"""Records that rules have to be shown whole: those of a scan of all columns as they are, others fetched, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa

from trapline.query.engine import Scan, ScanBatch
from trapline.run.findings import Findings
from trapline.run.sift import Rows, taken

_LEAST = 100
"""So many records make it worth to ask another worker."""


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


def fetched(scan: Scan, pieces: Sequence[Piece], *, width: int, most: int) -> Iterator[Piece]:
    """The pieces with their records, those that several ask for fetched once. Raises QueryError.

    What is fetched for one detection comes together, in as many parts as there are workers for it, of `width` in all,
    and at `most` so many records in each.
    """
    asked = list(_joined([piece for piece in pieces if not piece.fetched]))
    yield from (piece for piece in pieces if piece.fetched)
    places: dict[tuple[int, ...], int] = {}
    for piece in asked:
        for position in _positions(piece):
            places.setdefault(position, len(places))
    if not places:
        return
    schema = asked[0].records.schema
    columns = [pa.array(column, field.type) for column, field in zip(zip(*places, strict=True), schema, strict=True)]
    whole = scan.whole(pa.RecordBatch.from_arrays(columns, schema=schema))
    for piece in asked:
        numbers = pa.array([places[position] for position in _positions(piece)], pa.int64())
        size = min(most, max(_LEAST, -(-len(piece) // max(1, width // len(asked)))))
        for start in range(0, len(piece), size):
            audited = frozenset(at - start for at in piece.audited if start <= at < start + size)
            yield Piece(piece.findings, whole.take(numbers.slice(start, size)), fetched=True, audited=audited)


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """One piece for each detection: a worker that is asked once is quicker than one that is asked for each batch."""
    of_one: dict[int, list[Piece]] = {}
    for piece in pieces:
        of_one.setdefault(id(piece.findings), []).append(piece)
    for several in of_one.values():
        starts = accumulate(map(len, several), initial=0)
        audited = frozenset(start + at for start, piece in zip(starts, several, strict=False) for at in piece.audited)
        yield Piece(several[0].findings, pa.concat_batches([piece.records for piece in several]), False, audited)


def _positions(piece: Piece) -> Iterator[tuple[int, ...]]:
    return zip(*(column.to_pylist() for column in piece.records.columns), strict=True)
