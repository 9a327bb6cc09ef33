"""The seam between a tick and the data lake: what every query engine answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from trapline.errors import TraplineError
from trapline.window import Window


class QueryError(TraplineError):
    """A scan could not be done. `code` says which kind: `table-missing`, `column-missing`, `syntax`, `internal`."""

    def __init__(self, code: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One query of one table over one window. `where` is a condition in Athena's SQL, or None for all records."""

    table: str
    window: Window
    where: str | None = None


class Scan(Protocol):
    """A running scan: its records as Arrow batches, each ordered as the engine gives them, none held longer."""

    query_id: str

    def batches(self) -> Iterator[pa.RecordBatch]: ...

    @property
    def bytes_scanned(self) -> int:
        """What the engine says it read, in bytes; final once the batches are through."""
        ...


class Engine(Protocol):
    """One data lake. Thread-safe."""

    def scan(self, request: ScanRequest) -> AbstractContextManager[Scan]:
        """Starts a scan. Raises QueryError, here or while the batches are read."""
        ...

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table as a record has them. Raises QueryError where there is no such table."""
        ...

    def latest(self, table: str) -> datetime | None:
        """The newest record's time, or None for an empty table."""
        ...
