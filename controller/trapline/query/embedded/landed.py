"""Records that have just landed, behind the interface of every table: they are looked at as those of the lake are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb
import pyarrow as pa

from trapline.query import sql
from trapline.query.connection import connect
from trapline.query.embedded.files import PLACE
from trapline.query.embedded.scan import DuckDBScan
from trapline.query.engine import EVERYTHING, Scan, ScanRequest, Wanted

_VIEW = "landed"


class Landed:
    """An engine with one table, which is in memory."""

    def __init__(self, records: pa.Table, *, time: str) -> None:
        """`time` is the column with a record's time."""
        self._source = _Memory(records, time)

    @contextmanager
    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> Iterator[Scan]:
        with connect(wide=True) as connection:
            yield DuckDBScan(connection, self._source, request, wanted)

    def schema(self, table: str) -> pa.Schema:
        return self._source.schema

    def latest(self, table: str) -> datetime | None:
        return None

    def estimate(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> int | None:
        return 0  # it is here already, and costs nothing of the table's budget

    def remote(self, table: str) -> bool:
        return False

    def close(self) -> None:
        """There is nothing to end."""


class _Memory:
    """Records in memory, as SQL reads them."""

    files: Sequence[str] = (_VIEW,)
    hidden: Collection[str] = ()
    placed = False
    version = "-landed"

    def __init__(self, records: pa.Table, time: str) -> None:
        self.schema = records.schema
        self.time = time
        taken = {name.lower() for name in records.column_names}
        for field in PLACE:
            if field.name not in taken:
                places = range(records.num_rows) if field.name == "file_row_number" else [0] * records.num_rows
                records = records.append_column(field, pa.array(places, field.type))
        self._records = records

    def attach(self, connection: duckdb.DuckDBPyConnection) -> pa.Schema:
        connection.register(_VIEW, self._records)
        return self.schema

    def read(self, files: Sequence[str] | None = None) -> str:
        return _VIEW

    def columns(self, alias: str) -> str:
        return ", ".join(sql.dotted([alias, name]) for name in self.schema.names)

    def size(self, columns: Collection[tuple[str, ...]] | None = None) -> int:
        return 0

    def count(self) -> int | None:
        return len(self._records)

    def verify(self, files: Sequence[str] | None = None) -> None:
        """It is ours alone."""
