"""Poison records: those on which a rule dies are found, so that all others of their batch get their verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic

import pyarrow as pa

from trapline.workers.interface import BatchReply, FailureReply, Limits, MatchReply, WorkerError

Run = Callable[[pa.RecordBatch], BatchReply]
"""Brings a batch past a worker: a warm one, or a new one where the last has died."""

ONE_RECORD = frozenset({"timeout", "memory", "crashed", "output", "protocol"})
"""The outcomes that a single record may be to blame for."""

SLICE = 500
DEATHS = 20
"""How many workers may die over one batch before the rule as a whole is to blame."""


def run_each(run: Run, batch: pa.RecordBatch, limits: Limits, *, sieve: bool = False) -> BatchReply:
    """The verdicts on every record, each once; a record on which the rule dies is a failure of that record alone.

    The rule may be shown a record again after a worker died, but only one of its verdicts counts. Raises the
    WorkerError where no single record is to blame. Where too many are, or finding them takes longer than a batch may,
    the reply is not complete. In a sieve run any number of records may match.
    """
    began = monotonic()
    try:
        return run(batch)
    except WorkerError as error:
        slow = error.outcome == "timeout" and monotonic() - began >= limits.batch_seconds
        if error.starting or error.outcome not in ONE_RECORD or slow or not batch.num_rows:
            raise
        limits = replace(limits, matches=batch.num_rows) if sieve else limits
        return _Search(run, limits, first=error).search(batch)


@dataclass(slots=True)
class _Search:
    """Ever smaller pieces of a batch: those on which the rule lives give their verdicts, a record on which it dies is
    found."""

    run: Run
    limits: Limits
    first: WorkerError
    matches: list[MatchReply] = field(default_factory=list)
    failures: list[FailureReply] = field(default_factory=list)
    log: str = ""
    missed: bool = False
    deaths: int = 0
    end: float = 0.0

    def search(self, batch: pa.RecordBatch) -> BatchReply:
        self.end = monotonic() + self.limits.batch_seconds
        complete = self._pieces(batch, 0, batch.num_rows, died=self.first)
        if self.missed:
            return BatchReply((), (), self.log[: self.limits.log_bytes], missed=True)
        return BatchReply(tuple(self.matches), tuple(self.failures), self.log[: self.limits.log_bytes], complete)

    def _pieces(self, batch: pa.RecordBatch, start: int, count: int, *, died: WorkerError) -> bool:
        """The rows from `start` on, of which it is known that the rule died on them together; false to give up."""
        if count == 1:
            return self._alone(batch, start, died)
        size = SLICE if count > SLICE else 1
        for at in range(start, start + count, size):
            rows = min(size, start + count - at)
            if monotonic() > self.end or self.deaths > DEATHS:
                if self.failures:  # what was found is worth to be looked at
                    return False
                raise self.first
            try:
                reply = self.run(batch.slice(at, rows))
            except WorkerError as error:
                if error.starting or error.outcome not in ONE_RECORD:
                    raise
                self.deaths += 1
                going_on = self._pieces(batch, at, rows, died=error)
            else:
                going_on = self._take(reply, at)
            if not going_on:
                return False
        return True

    def _alone(self, batch: pa.RecordBatch, row: int, died: WorkerError) -> bool:
        """The one record that is left: it is to blame if the rule dies on it once more in a new worker.

        The last one may have died of something else. A record that took all its time needs no second proof.
        """
        if died.outcome != "timeout":
            try:
                return self._take(self.run(batch.slice(row, 1)), row)
            except WorkerError as error:
                if error.starting or error.outcome not in ONE_RECORD:
                    raise
                died = error
        self.failures.append(FailureReply(row, "", died.message[:1_000], died.file, died.line, died.outcome))
        return len(self.failures) <= self.limits.failures

    def _take(self, reply: BatchReply, start: int) -> bool:
        self.matches += [replace(one, row=None if one.row is None else one.row + start) for one in reply.matches]
        self.failures += [replace(one, row=None if one.row is None else one.row + start) for one in reply.failures]
        self.log += reply.log
        self.missed = reply.missed
        if len(self.matches) > self.limits.matches:
            raise WorkerError("matches", f"it matches more than {self.limits.matches} times in one batch")
        return reply.complete and not reply.missed and len(self.failures) <= self.limits.failures
