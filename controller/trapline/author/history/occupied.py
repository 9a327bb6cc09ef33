"""Where records lie: rules in the batch format are shown nothing of a window without any, so that none need be scanned.

A month of windows of five minutes is 8,640 queries, many of them of nothing. One look at the times of the records tells
which are worth it. Whatever it cannot tell is scanned as ever.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import gcd

import pyarrow as pa
import pyarrow.compute as pc

from trapline.detection.inference.reads import Read
from trapline.detection.model import Mode
from trapline.query.engine import EVERYTHING, Engine, Part, QueryError, Scan, ScanBatch, ScanRequest, Wanted
from trapline.run.plan import PlannedScan
from trapline.settings import Settings
from trapline.window import Window

_FEW = 3
"""So many windows are scanned as quickly as looked for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Look:
    """What one look at a table told, for the detections of these identities, and what it took.

    `counts` has for each window how many records lie in it: those that a user's own condition is true of, and all
    (None) where that was asked. `schema` is that of whole records.
    """

    table: str
    identities: Collection[str]
    schema: pa.Schema
    counts: Mapping[Window, Mapping[str | None, int]]
    queries: int
    bytes_scanned: int

    def rules_out(self, request: ScanRequest, wanted: Wanted) -> bool:
        """Whether a scan would bring nothing that anybody wants."""
        known = self.counts.get(request.window, {})
        return request.table == self.table and all(known.get(part.where) == 0 for part in wanted.parts)


def looks(scans: Sequence[PlannedScan], lake: Engine, settings: Settings) -> Iterator[Look]:
    """Looks at each table of which rules in the batch format read more than a few windows. What is wrong with one its
    scans will say."""
    of_table: dict[str, list[PlannedScan]] = defaultdict(list)
    for planned in scans:
        known = planned.request.table in settings.tables
        if known and any(member.mode is Mode.BATCH for member in planned.members):
            of_table[planned.request.table].append(planned)
    for table, planned_of_it in of_table.items():
        if len(planned_of_it) > _FEW and (found := _look(table, planned_of_it, lake, settings)):
            yield found


def _look(table: str, scans: Sequence[PlannedScan], lake: Engine, settings: Settings) -> Look | None:
    windows = sorted({planned.request.window for planned in scans})
    span = Window(windows[0].start, max(window.end for window in windows))
    members = {member.identity: member for planned in scans for member in planned.members if member.mode is Mode.BATCH}
    wheres = {member.config.query.where for member in members.values()}
    if not lake.remote(table):  # elsewhere, no scan says how many records did not come
        wheres.add(None)
    time = settings.tables[table].time
    wanted = Wanted(frozenset({Read((time,), whole=True)}), tuple(Part(where=where) for where in wheres))
    edges = sorted({_number(moment) for window in windows for moment in (window.start, window.end)})
    try:
        with lake.scan(ScanRequest(table, span), wanted) as scan:
            if not _has_times(scan.schema, time):
                return None
            between = _counted(scan, time, wheres, edges)
            queries, read = scan.queries, scan.bytes_scanned
    except QueryError:
        return None
    before = {where: _before(counter, edges) for where, counter in between.items()}
    counts = {
        window: {where: known[_number(window.end)] - known[_number(window.start)] for where, known in before.items()}
        for window in windows
    }
    return Look(table, set(members), scan.schema, counts, queries, read)


def _has_times(schema: pa.Schema, time: str) -> bool:
    """Whether its column of times is one of timestamps; an empty table has no columns at all."""
    return not schema.names or (time in schema.names and pa.types.is_timestamp(schema.field(time).type))


def _counted(
    scan: Scan, time: str, wheres: Collection[str | None], edges: Sequence[int]
) -> Mapping[str | None, Counter[int]]:
    """For each condition, how many records there are by how many of the edges lie at or before them."""
    found: dict[str | None, Counter[int]] = {where: Counter() for where in wheres}
    first = edges[0]
    grain = gcd(*(edge - first for edge in edges))  # no edge lies within one, and there are far fewer than moments
    for batch in scan.batches():
        times = batch.records.column(time)
        numbers = times.cast(pa.timestamp("us", times.type.tz), safe=False).cast(pa.int64())
        grains = pc.divide(pc.subtract(numbers, first), grain)
        for where, counter in found.items():
            counted = pc.value_counts(grains if where is None else grains.filter(batch.where[where]))
            values, counts = (counted.field(name).to_pylist() for name in ("values", "counts"))
            for value, count in zip(values, counts, strict=True):
                counter[bisect_right(edges, first + value * grain)] += count
    return found


def _before(counter: Counter[int], edges: Sequence[int]) -> Mapping[int, int]:
    """How many moments lie before each edge."""
    return dict(zip(edges, accumulate(counter[place] for place in range(len(edges))), strict=True))


def _number(moment: datetime) -> int:
    """Microseconds since 1970, as Arrow has them."""
    return (moment - _EPOCH) // _TICK


class Sparse:
    """A lake that is not asked for windows of which it is known that they hold nothing that is wanted."""

    def __init__(self, lake: Engine, known: Collection[Look]) -> None:
        self._lake = lake
        self._known = known

    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> AbstractContextManager[Scan]:
        for look in self._known:
            if look.rules_out(request, wanted):
                return _nothing(look, request.window)
        return self._lake.scan(request, wanted)

    def schema(self, table: str) -> pa.Schema:
        return self._lake.schema(table)

    def latest(self, table: str) -> datetime | None:
        return self._lake.latest(table)

    def estimate(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> int | None:
        return self._lake.estimate(request, wanted)

    def remote(self, table: str) -> bool:
        return self._lake.remote(table)

    def close(self) -> None:
        self._lake.close()


@contextmanager
def _nothing(look: Look, window: Window) -> Iterator[Scan]:
    yield _Nothing(look.schema, look.counts[window].get(None, 0))


@dataclass
class _Nothing:
    """The scan of a window that nobody is asked about."""

    schema: pa.Schema
    records: int
    query_id = ""
    statement = "-- nothing: no record can matter to anybody"
    bytes_scanned = 0
    queries = 0

    def batches(self) -> Iterator[ScanBatch]:
        return iter(())

    def whole(self, positions: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([], schema=self.schema)

    def count(self) -> int:
        return self.records

    def cancel(self) -> None: ...
