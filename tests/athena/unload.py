"""Writes a query's rows as Athena does: Parquet in several files and their manifest for UNLOAD, else one CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.athena.errors import failed
from tests.athena.objects import Objects, split
from tests.athena.run import Result
from tests.athena.statement import Unload

Kind = duckdb.sqltypes.DuckDBPyType

_UNWRITABLE = {
    "time": "time(3)",
    "time with time zone": "time(3) with time zone",
    "timestamp with time zone": "timestamp(3) with time zone",
    "interval": "interval day to second",
    "uuid": "uuid",
    "null": "unknown",
    "bit": "bit",
}
"""Types, as DuckDB names them, that Hive has none for; and their names in Athena."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes into the double's S3. `rows` is how many a file of an UNLOAD takes."""

    objects: Objects
    rows: int
    kms_key: str | None = None

    def check(self, unload: Unload, result: Result) -> None:
        """Raises QueryFailed for columns that have no type in Hive, and for a target that is not empty."""
        for name, kind in zip(result.schema.names, result.types, strict=True):
            _check_type(name, kind)
        bucket, _ = split(unload.location)
        if not self.objects.exists(bucket):
            raise failed(
                "HIVE_FILESYSTEM_ERROR",
                "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; "
                f"Error Code: NoSuchBucket) at {unload.location}",
            )
        if self.objects.below(unload.location):
            raise failed(
                "HIVE_PATH_ALREADY_EXISTS",
                f"Target directory for table already exists: {unload.location}. You may need "
                f"to manually clean the data at location '{unload.location}' before retrying. Athena will not delete "
                "data in your account.",
            )

    def unload(self, unload: Unload, result: Result) -> list[str]:
        """Writes the files and returns their addresses: none where there are no rows."""
        run = f"{datetime.now():%Y%m%d_%H%M%S}_{uuid4().int % 100_000:05}_{uuid4().hex[:5]}"
        written = []
        for rows in _files(result.batches, self.rows):
            address = f"{unload.location.rstrip('/')}/{run}_{uuid4()}"
            self.objects.write(address, _parquet(rows, unload.compression), kms_key=self.kms_key)
            written.append(address)
        return written

    def manifest(self, address: str, files: Iterable[str]) -> None:
        """Lists the files that were written, one a line."""
        self.objects.write(address, "".join(f"{file}\n" for file in files).encode(), kms_key=self.kms_key)

    def metadata(self, address: str) -> None:
        """Athena's own notes on a query, which are for nobody to read; here they are empty."""
        self.objects.write(address, b"", kms_key=self.kms_key)

    def table(self, address: str, result: Result) -> list[list[str | None]]:
        """Writes the rows as CSV with a header, every value in quotes; returns them as text, header and all."""
        rows: list[list[str | None]] = [list(result.schema.names)]
        for batch in result.batches:
            rows += [[_text(value) for value in row.values()] for row in batch.to_pylist()]
        self.objects.write(address, "".join(map(_line, rows)).encode(), kms_key=self.kms_key)
        return rows


def _check_type(column: str, kind: Kind) -> None:
    if kind.id == "timestamp_ns":
        raise failed(
            "NOT_SUPPORTED",
            "Incorrect timestamp precision for timestamp(6); the configured precision is MILLISECONDS; "
            f"column name: {column}",
        )
    unwritable = "json" if str(kind) == "JSON" else _UNWRITABLE.get(kind.id)
    if unwritable is not None:
        raise failed("NOT_SUPPORTED", f"Unsupported Hive type: {unwritable}")
    if kind.id in ("list", "struct", "map"):
        for _, inner in kind.children:
            _check_type(column, inner)


def _files(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        while batch.num_rows:
            room = rows - sum(each.num_rows for each in held)
            held.append(batch.slice(0, room))
            batch = batch.slice(room)
            if sum(each.num_rows for each in held) == rows:
                yield pa.Table.from_batches(held)
                held = []
    if held:
        yield pa.Table.from_batches(held)


def _parquet(rows: pa.Table, compression: str) -> bytes:
    sink = pa.BufferOutputStream()
    # Athena still writes the old timestamps of 96 bits, which readers take for nanoseconds without a zone
    pq.write_table(rows, sink, compression=compression, use_deprecated_int96_timestamps=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _line(row: list[str | None]) -> str:
    """Every value in quotes; nothing at all for NULL, which Python's own CSV writer can do from 3.12 on."""
    return ",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in row) + "\n"


def _text(value: Any) -> str | None:
    """A value as Athena prints it; NULL is nothing at all."""
    return None if value is None else _printed(value)


def _printed(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_printed(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_printed, value)) + "]"
    return json.dumps(value) if isinstance(value, int | float) else str(value)
