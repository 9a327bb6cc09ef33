"""A match: a record for which a detection said yes, and what it said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trapline.fingerprint import fingerprint
from trapline.workers.answer import Answer


@dataclass(frozen=True, slots=True)
class Match:
    """A record for which a detection said yes.

    `record` is it as JSON: a scan may have thousands of matches, and holds them until its end. None where a match names
    no record.
    """

    id: str
    event_at: datetime
    answer: Answer
    record: str | None


def match_id(identity: str, table: str, record_key: str) -> str:
    """A match's identity: one detection, one table, one record, however often and by whichever path it is seen."""
    return fingerprint(identity.encode(), table.encode(), record_key.encode())
