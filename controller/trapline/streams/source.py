"""The seam between what runs in real time and what hands over the records: what every source answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from trapline.errors import TraplineError


class SourceDown(TraplineError):
    """A source cannot be asked now; it is asked again later, and nothing is lost of it meanwhile."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a source hands over as one: the records of an object, or of a message.

    `key` is the same each time that it is handed over, and no other parcel of its table has it. `landed_at` is when it
    came to be, as the source says. `records` have the columns and types of the table, and are never empty of columns.
    """

    key: str
    landed_at: datetime
    records: pa.Table


@dataclass(frozen=True, slots=True)
class Spoiled:
    """What no records can be made of: it is set aside with the reason, and can be opened again from its `origin`.

    `origin` is all that `Source.reopen` needs: where the object lies, or the message itself, as text.
    """

    key: str
    landed_at: datetime
    reason: str
    origin: str


@dataclass(frozen=True, slots=True)
class Handed:
    """Something handed over, and the receipt by which the source knows it until it is done. A parcel with several
    objects is several of these that share a receipt."""

    what: Parcel | Spoiled
    receipt: Any


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits at a source: how many messages or objects, and when the oldest landed; None where it cannot tell."""

    waiting: int | None = None
    oldest: datetime | None = None


class Source(Protocol):
    """One stream of one table. One thread receives; the others' calls may come from any."""

    @property
    def positions(self) -> Mapping[str, str]:
        """How far everything is done, where the source leaves it to us to know that; kept, and given to the next."""
        ...

    def receive(self, *, wait: float) -> Sequence[Handed]:
        """What has landed, at most some; waits up to so many seconds where nothing has. Raises SourceDown.

        What is handed over is not handed over again before it is done or given up, or its time at the source is over.
        """
        ...

    def done(self, receipts: Sequence[Any]) -> None:
        """These are recorded, and need not come again. Raises SourceDown: they come again then, and are known."""
        ...

    def extend(self) -> None:
        """What is handed over and not done is still worked on. Called every few seconds. Raises SourceDown."""
        ...

    def reopen(self, key: str, landed_at: datetime, origin: str) -> Parcel | Spoiled:
        """What was set aside, tried once more. Raises SourceDown."""
        ...

    def backlog(self) -> Backlog:
        """What waits. Raises SourceDown."""
        ...

    def close(self) -> None:
        """Gives up what is handed over and not done, so that it comes again soon; safe to call twice."""
        ...
