"""The seam between a tick and the data lake: what every query engine answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from trapline.detection.inference.predicate import TRUE, Predicate
from trapline.detection.inference.reads import Read
from trapline.errors import TraplineError
from trapline.window import Window


class QueryError(TraplineError):
    """A scan could not be done. `code` says which kind.

    Of what it asks: `table-missing`, `column-missing`, `syntax`, `unbounded` (nothing keeps it from reading the whole
    table), `over-budget`. Of how it went: `changed` (the table is not what the scan began with any more),
    `permissions`, `throttled`, `cancelled`, `cut-off` (it read more than its limit), `timeout`, `unreachable`,
    `internal`.
    """

    def __init__(self, code: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One query of one table over one window."""

    table: str
    window: Window


@dataclass(frozen=True, slots=True)
class Part:
    """What one detection wants of a scan: the records for which its predicate may hold, of those that its user's own
    condition `where`, in Athena's SQL, is true of."""

    predicate: Predicate = TRUE
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a scan is wanted: which columns, and which rows. More than that may come, less never.

    `reads` None is all columns; a read of a path that does not exist is left out. The rows are those of all `parts`.
    `audit` is the share of all rows that is wanted whatever the predicates say, chosen at random.
    """

    reads: frozenset[Read] | None = None
    parts: tuple[Part, ...] = (Part(),)
    audit: float = 0.0

    @property
    def wheres(self) -> tuple[str, ...]:
        """The users' own conditions, each once."""
        return tuple(dict.fromkeys(part.where for part in self.parts if part.where is not None))


EVERYTHING = Wanted()

PRESENCE = b"presence"
UNKNOWN = b"unknown"
"""The metadata of a struct field of which only some fields were read: it is never null, also where the record's is."""


@dataclass(frozen=True, slots=True)
class ScanBatch:
    """Some rows of a scan.

    `positions` say where each row lies, for `Scan.whole`; None where the records have all columns already. `audited`
    marks the rows that were chosen for the audit; None where there are none. `where` marks for each of the users' own
    conditions the rows that it is true of, never null.
    """

    records: pa.RecordBatch
    positions: pa.RecordBatch | None = None
    audited: pa.BooleanArray | None = None
    where: Mapping[str, pa.BooleanArray] = field(default_factory=dict)


class Scan(Protocol):
    """A running scan: its records as Arrow batches, each ordered as the engine gives them, none held longer.

    `schema` is that of whole records.
    """

    schema: pa.Schema

    @property
    def query_id(self) -> str:
        """Whom to ask the engine about; empty where it was asked nothing."""
        ...

    @property
    def statement(self) -> str:
        """What the engine is asked, in its own words and for people; nothing runs before the first batch."""
        ...

    def batches(self) -> Iterator[ScanBatch]: ...

    def whole(self, positions: pa.RecordBatch) -> pa.RecordBatch:
        """These rows with all columns, in the order asked, also while the batches are read.

        Raises QueryError `changed` where the table no longer has one of them.
        """
        ...

    def count(self) -> int:
        """How many records were looked at: all of the window, or, where it costs to ask, those that came."""
        ...

    def cancel(self) -> None:
        """Ends what runs, from any thread: whoever waits for it gets a QueryError."""
        ...

    @property
    def bytes_scanned(self) -> int:
        """What the engine says it read so far, in bytes."""
        ...

    @property
    def queries(self) -> int:
        """How many queries it took so far."""
        ...


class Engine(Protocol):
    """One data lake. Thread-safe."""

    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> AbstractContextManager[Scan]:
        """Starts a scan. Raises QueryError, here or while the batches are read."""
        ...

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table as a record has them. Raises QueryError where there is no such table."""
        ...

    def latest(self, table: str) -> datetime | None:
        """The newest record's time, or None for an empty table."""
        ...

    def estimate(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> int | None:
        """The bytes that a scan would read at most, without it being made; None where that cannot be told."""
        ...

    def remote(self, table: str) -> bool:
        """Whether its queries run elsewhere, so that several scans are better made side by side."""
        ...

    def close(self) -> None:
        """Ends what still runs; safe to call twice."""
        ...
