"""One scan of Athena: one query, a few more for records that are wanted whole, and what they wrote."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import count
from threading import Event, Lock
from typing import Any

import pyarrow as pa

from trapline.query import sql
from trapline.query.athena.catalog import AthenaTable
from trapline.query.athena.errors import query_error
from trapline.query.athena.locations import Location
from trapline.query.athena.queries import Queries, Tally
from trapline.query.athena.statement import Asking, Locate, Statement
from trapline.query.athena.store import Store
from trapline.query.engine import QueryError, ScanBatch, ScanRequest, Wanted

Place = tuple[str, Any]
"""Where a row lies: its file, and its id."""


class AthenaScan:
    """One scan. Its query runs once the first batch is asked for."""

    def __init__(
        self,
        table: AthenaTable,
        request: ScanRequest,
        wanted: Wanted,
        *,
        queries: Queries,
        store: Store,
        prefix: Location,
        stop: Event,
        locate: Locate,
    ) -> None:
        self.schema = table.schema
        self.prefix = prefix
        self.ambiguous = False  # different rows of one file have the same id, and cannot be found again
        self._table = table
        self._asking = Asking(table, request.window)
        self._statement = self._asking.rows(wanted, locate)
        self._queries = queries
        self._store = store
        self._stop = stop
        self._tally = Tally()
        self._rows = 0
        self._numbers = count()
        self._running = Lock()

    @property
    def query_id(self) -> str:
        """Athena's id of the query; empty before it began, and where there is nothing to ask."""
        return self._tally.ids[0] if self._tally.ids else ""

    @property
    def statement(self) -> str:
        return self._statement.select if self._statement else "-- nothing: no record can matter to anybody"

    @property
    def queries(self) -> int:
        """How many queries it took so far, those that failed too."""
        return len(self._tally.ids)

    @property
    def bytes_scanned(self) -> int:
        return self._tally.bytes_scanned

    def batches(self) -> Iterator[ScanBatch]:
        if self._statement is None:
            return
        for batch in self._unloaded(self._statement):
            self._rows += batch.num_rows
            yield self._statement.split(batch)

    def count(self) -> int:
        """The rows that came: asking for those that did not would cost another scan."""
        return self._rows

    def whole(self, positions: pa.RecordBatch) -> pa.RecordBatch:
        asked = _places(positions)
        wanted, found = set(asked), dict[Place, int]()
        batches = [pa.RecordBatch.from_pylist([], schema=self.schema)]
        rows = 0
        for records, places in self._asked_for(wanted):
            batches.append(records)
            for number, place in enumerate(places, start=rows):
                if place in found and not _alike(batches, found[place], number):
                    self.ambiguous = True
                    raise self._twins(place)
                found.setdefault(place, number)
            rows += records.num_rows
        if missing := len(wanted - found.keys()):
            raise QueryError(
                "changed",
                f"the table {self._table.name} changed while it was read: {missing} rows are no longer there",
                remedy="nothing, its window is read again",
            )
        numbers = pa.array([found[place] for place in asked], pa.int64())
        return pa.concat_batches(batches).take(numbers)

    def _asked_for(self, wanted: Set[Place]) -> Iterator[tuple[pa.RecordBatch, list[Place]]]:
        """The rows that lie at these places, whole, and where each lies."""
        if not wanted:
            return
        statement = self._asking.whole(wanted)
        for batch in map(statement.split, self._unloaded(statement)):
            assert batch.positions is not None
            places = _places(batch.positions)
            kept = [number for number, place in enumerate(places) if place in wanted]
            if kept:
                yield batch.records.take(pa.array(kept, pa.int64())), [places[number] for number in kept]

    def cancel(self) -> None:
        self._stop.set()

    def close(self) -> None:
        """Ends what runs, and waits for its end."""
        self.cancel()
        with self._running:
            pass

    def _twins(self, place: Place) -> QueryError:
        file, id = place
        return QueryError(
            "changed",
            f"{self._table.settings.id} does not tell the rows of the table {self._table.name} apart: "
            f"there are several with {id!r} in {file}",
            remedy="nothing, the window is read again with all columns, which costs more; "
            "give the records unique ids, or set the table's id: to null",
        )

    def _unloaded(self, statement: Statement) -> Iterator[pa.RecordBatch]:
        folder = self.prefix / f"{next(self._numbers)}/"
        targets: list[Location] = []

        def unload(attempt: int) -> str:
            targets.append(folder / f"{attempt}/")
            return (
                f"UNLOAD ({statement.select}) TO {sql.string(str(targets[-1]))} "
                "WITH (format = 'PARQUET', compression = 'ZSTD')"
            )

        with self._running:
            self._queries.run(
                unload, table=self._table.name, output=str(self.prefix), stop=self._stop, tally=self._tally
            )
        for batch in self._store.batches(targets[-1], table=self._table.name):
            if self._stop.is_set():
                raise query_error("cancelled", "the scan was left", table=self._table.name)
            yield batch


def _places(positions: pa.RecordBatch) -> list[Place]:
    return list(zip(*(column.to_pylist() for column in positions.columns), strict=True))


def _alike(batches: list[pa.RecordBatch], one: int, other: int) -> bool:
    """Whether two rows are the same in everything, so that it does not matter which of them is taken."""
    first, second = _row(batches, one), _row(batches, other)
    return bool(first.equals(second))


def _row(batches: list[pa.RecordBatch], number: int) -> pa.RecordBatch:
    for batch in batches:
        if number < batch.num_rows:
            return batch.slice(number, 1)
        number -= batch.num_rows
    raise IndexError(number)
