"""Sifting a batch: which of its records a rule has to be shown whole.

Two looks, each cheaper by far than the rule on whole records. The rule's predicate says of all records at once which it
can have nothing to say of. Where many are left, the rule's `detect` alone is run over them with only the columns that
it reads. What is left then is a match, or a failure, or there to audit the predicate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from trapline.deploy.ledger import Deployment
from trapline.query.engine import ScanBatch
from trapline.query.masks import masks
from trapline.query.pruning import narrowed
from trapline.run.context import Context
from trapline.run.rules import Known
from trapline.run.verdicts import run_batch
from trapline.workers.interface import Sieve

FEW = 500
"""So many records are shown to a rule whole right away: a look at some of their columns would cost as much."""

_SMALLEST_SHARE = 8_192


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a batch that one rule has to be shown; those that are `audited` only to see that it says nothing."""

    numbers: pa.UInt64Array
    audited: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.numbers)


def let_through(
    batch: ScanBatch, rules: Sequence[Known], wheres: Sequence[str | None], schema: pa.Schema
) -> list[Rows]:
    """For each rule the rows that its predicate and its user's own condition let through, and those of the audit."""
    found = masks(batch.records, [rule.predicate for rule in rules], schema)
    return [
        _rows(batch, mask, None if where is None else batch.where[where])
        for mask, where in zip(found, wheres, strict=True)
    ]


def _rows(batch: ScanBatch, mask: pa.BooleanArray | None, where: pa.BooleanArray | None) -> Rows:
    if mask is None:
        return Rows(_first(batch.records.num_rows) if where is None else pc.indices_nonzero(where))
    allowed = mask if where is None else pc.and_(mask, where)
    if batch.audited is None:
        return Rows(pc.indices_nonzero(allowed))
    audited = pc.and_not(batch.audited if where is None else pc.and_(batch.audited, where), mask)
    return Rows(pc.indices_nonzero(pc.or_(allowed, audited)), frozenset(pc.indices_nonzero(audited).to_pylist()))


@lru_cache(maxsize=4)
def _first(count: int) -> pa.UInt64Array:
    return pa.array(range(count), pa.uint64())


def shares(rows: Rows, among: int) -> Iterator[Rows]:
    """The rows in as many parts as there are threads for them, none of them too small to be worth it."""
    parts = max(1, min(among, len(rows) // _SMALLEST_SHARE))
    size = -(-len(rows) // parts)
    for start in range(0, len(rows), size or 1):
        yield Rows(rows.numbers.slice(start, size), rows.audited)


def sieved(
    context: Context, deployment: Deployment, rule: Known, batch: ScanBatch, rows: Rows, schema: pa.Schema, source: str
) -> Rows:
    """Of the rows, those that `detect` matches or fails on, or that are audited. Raises WorkerError."""
    if rule.exact or rule.reads is None or len(rows) <= FEW:
        return rows
    part = narrowed(taken(batch.records, rows.numbers), rule.reads)
    reply = run_batch(context, deployment, part, source=source, sieve=Sieve(schema))
    if reply.missed:
        context.rules.misread(deployment)
    if reply.missed or not reply.complete:
        return rows
    kept = {match.row for match in reply.matches} | {failure.row for failure in reply.failures}
    numbers = pc.take(rows.numbers, pa.array(sorted(row for row in kept if row is not None), pa.uint64()))
    if rows.audited:
        mine = [number for number in rows.numbers.to_pylist() if number in rows.audited]
        numbers = pa.array(sorted({*numbers.to_pylist(), *mine}), pa.uint64())
    return Rows(numbers, rows.audited)


def taken(batch: pa.RecordBatch, numbers: pa.UInt64Array) -> pa.RecordBatch:
    """These rows of a batch, in order; where they follow each other, nothing is copied."""
    count = len(numbers)
    if not count or not batch.num_columns:
        return batch.slice(0, count)
    first = numbers[0].as_py()
    together = numbers[count - 1].as_py() - first == count - 1
    return batch.slice(first, count) if together else batch.take(numbers)
