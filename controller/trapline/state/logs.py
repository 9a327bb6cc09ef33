"""What rules printed, for the people who wrote them: the newest of each detection, within bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from trapline.state.database import Database
from trapline.state.schema import logs
from trapline_plugins.text import CUT, well_formed

KEPT_TEXT = 2**20
"""How much text is kept of one detection, in characters."""

KEPT_ENTRIES = 1000
"""How many entries are kept of one detection, however short they are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a rule printed in one go. `source` says where it ran: a table and window, or its own tests."""

    id: int
    at: datetime
    build_digest: str
    source: str
    text: str


class Logs:
    """The logs of all detections. What a rule prints is hostile: kept as it is, but well-formed and bounded."""

    def __init__(self, database: Database, *, kept_text: int = KEPT_TEXT, kept_entries: int = KEPT_ENTRIES) -> None:
        self._database = database
        self._kept_text = kept_text
        self._kept_entries = kept_entries

    def append(self, identity: str, *, build_digest: str, source: str, text: str, now: datetime) -> None:
        """Adds what a rule printed, and drops the oldest of what is too much by now. Blank text is no entry."""
        if not text or text.isspace():
            return
        row = {
            "identity": identity,
            "at": now,
            "build_digest": build_digest,
            "source": source,
            "text": self._storable(text),
        }
        with self._database.transaction() as connection:
            connection.execute(logs.insert().values(row))
            connection.execute(logs.delete().where(logs.c.id.in_(self._too_much(identity))))

    def tail(self, identity: str, limit: int, *, after: int = 0) -> list[Entry]:
        """The newest entries of a detection, the oldest of them first; only those that came after the entry `after`."""
        newest = (
            sa.select(logs.c.id, logs.c.at, logs.c.build_digest, logs.c.source, logs.c.text)
            .where(logs.c.identity == identity, logs.c.id > after)
            .order_by(logs.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Entry(**row) for row in reversed(connection.execute(newest).mappings().all())]

    def forget(self, identities: Iterable[str]) -> None:
        """Drops all that these detections printed."""
        with self._database.transaction() as connection:
            for identity in identities:
                connection.execute(logs.delete().where(logs.c.identity == identity))

    def _storable(self, text: str) -> str:
        """The end of a text that is too long, without what a database refuses: NULs and lone surrogates."""
        if len(text) > self._kept_text:
            text = CUT + text[-(self._kept_text - len(CUT)) :]
        return well_formed(text.replace("\0", "\ufffd"))

    def _too_much(self, identity: str) -> sa.Select[tuple[int]]:
        """The ids of what lies beyond the bounds, counted from the newest entry."""
        newest_first = logs.c.id.desc()
        counted = (
            sa.select(
                logs.c.id,
                sa.func.row_number().over(order_by=newest_first).label("entries"),
                sa.func.sum(sa.func.length(logs.c.text)).over(order_by=newest_first).label("text"),
            )
            .where(logs.c.identity == identity)
            .subquery()
        )
        return sa.select(counted.c.id).where(
            (counted.c.entries > self._kept_entries) | (counted.c.text > self._kept_text)
        )
