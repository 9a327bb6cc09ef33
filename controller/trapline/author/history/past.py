"""What one version of a detection would have said of a past window, read from the state that running it left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trapline.alerts.failures import Failure
from trapline.detection.model import Detection, Severity
from trapline.fingerprint import fingerprint
from trapline.settings import Settings
from trapline.state.database import Database
from trapline.state.schema import alerts, failures, matches
from trapline.suppressions import Suppressions
from trapline.workers.interface import BuildDigest

RECORDS_OF_ALERT = 20
RECORDS_OF_VERSION = 5_000
"""So many records are kept of an alert, its oldest, and of a version: a noisy rule has a million of them."""


@dataclass(frozen=True)
class Version:
    """One version of a detection, and what was built of it. `identity` tells it from all others in one run.

    `suppressions` are those that hold for it, None where they are those of the run.
    """

    identity: str
    detection: Detection
    build: BuildDigest
    suppressions: Suppressions | None = None


@dataclass(frozen=True, slots=True)
class PastMatch:
    """A match; its `record` only where it is one of those that are kept, and where it names one at all."""

    at: datetime
    title: str
    record: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class PastAlert:
    """An alert as it would stand now. The keys of its matches are equal for equal records of a table, whatever version
    found them."""

    title: str
    dedupe: str
    severity: Severity
    destinations: tuple[str, ...]
    description: str | None
    runbook: str | None
    context: Mapping[str, Any]
    match_count: int
    first_match_at: datetime
    last_match_at: datetime
    table: str
    matches: Mapping[str, PastMatch]


@dataclass(frozen=True)
class Past:
    """What one version said. `matches` counts all: those of `alerts` (oldest first), those `pending` below the
    threshold, and those `suppressed`; `match_times` has the moment of each.

    `errors` say why some of the window was not read, or not by this version. `windows` and `records` are what it got
    through, `read` its share of the bytes that were read, by table.
    """

    version: Version
    alerts: Sequence[PastAlert] = ()
    matches: int = 0
    pending: int = 0
    suppressed: int = 0
    match_times: Sequence[datetime] = ()
    failures: int = 0
    first_failure: str = ""
    errors: Sequence[str] = ()
    windows: int = 0
    records: int = 0
    read: Mapping[str, int] = field(default_factory=dict)

    @property
    def not_due(self) -> bool:
        """Whether no window of its schedule lies whole in the time that was asked about."""
        return not self.windows and not self.errors

    @property
    def troubled(self) -> bool:
        """Whether somebody has to look at it: it could not be run whole, or failed on a record."""
        return bool(self.errors or self.failures)


@dataclass
class Findings:
    """What the state has of one version, as far as the fields of `Past` of the same names."""

    alerts: Sequence[PastAlert]
    matches: int
    pending: int
    suppressed: int
    match_times: Sequence[datetime]
    failures: int
    first_failure: str


def findings_of(database: Database, identity: str, settings: Settings) -> Findings:
    """What was recorded of a version."""
    with database.reading() as connection:
        found = _Matches(settings)
        found.read(connection, identity)
        raised = sa.select(alerts).where(alerts.c.identity == identity).order_by(alerts.c.first_match_at, alerts.c.id)
        told = [_alert(dict(row), found.of_alert[row["id"]]) for row in connection.execute(raised).mappings()]
        set_aside = sa.select(failures).where(failures.c.identity == identity)
        count = connection.execute(sa.select(sa.func.count()).select_from(set_aside.subquery())).scalar_one()
        first = connection.execute(set_aside.order_by(failures.c.event_at, failures.c.id).limit(1)).first()
    return Findings(told, found.count, found.pending, found.suppressed, found.times, count, _words(first))


class _Matches:
    """A version's matches, by their alerts, with the records of the first."""

    def __init__(self, settings: Settings) -> None:
        self.of_alert: dict[str, dict[str, PastMatch]] = defaultdict(dict)
        self.times: list[datetime] = []
        self.count = self.pending = self.suppressed = 0
        self._settings = settings
        self._room = RECORDS_OF_VERSION
        self._twins: Counter[str] = Counter()
        self._titles: dict[str, str] = {}

    def read(self, connection: sa.Connection, identity: str) -> None:
        query = sa.select(matches).where(matches.c.identity == identity).order_by(matches.c.event_at, matches.c.id)
        for row in connection.execution_options(yield_per=1_000).execute(query).mappings():
            self.count += 1
            self.times.append(row["event_at"])
            if row["alert_id"] is not None:
                self._add(dict(row))
            elif row["suppressed_by"] is None:
                self.pending += 1
            else:
                self.suppressed += 1

    def _add(self, row: Mapping[str, Any]) -> None:
        record, group = row["record"], self.of_alert[row["alert_id"]]
        kept = record is not None and len(group) < RECORDS_OF_ALERT and self._room > 0
        self._room -= kept
        title = self._titles.setdefault(row["title"], row["title"])  # mostly the same text, a million times
        group[self._key(row)] = PastMatch(row["event_at"], title, record if kept else None)

    def _key(self, row: Mapping[str, Any]) -> str:
        """What makes a record itself: its id where the table has one, else all in it, and which of such it is."""
        table = self._settings.tables.get(row["table_name"])
        parts = [row["table_name"], *_identifying(row, table.id if table else None)]
        key = fingerprint(*(part.encode("utf-8", "surrogatepass") for part in parts))[:20]
        self._twins[key] += 1
        return key if self._twins[key] == 1 else f"{key}-{self._twins[key]}"


def _identifying(row: Mapping[str, Any], id_path: str | None) -> Iterator[str]:
    record = row["record"]
    if record is None:  # what a batch rule concludes of a window as a whole
        yield from ("window", row["event_at"].isoformat(), row["dedupe"])
        return
    value: Any = record
    for part in (id_path or "").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    yield from ("id", str(value)) if value is not None else ("content", repr(record))


def _alert(row: Mapping[str, Any], found: Mapping[str, PastMatch]) -> PastAlert:
    return PastAlert(
        title=row["title"],
        dedupe=row["dedupe"],
        severity=Severity(row["severity"]),
        destinations=tuple(row["destinations"]),
        description=row["description"],
        runbook=row["runbook"],
        context=row["context"],
        match_count=row["match_count"],
        first_match_at=row["first_match_at"],
        last_match_at=row["last_match_at"],
        table=row["provenance"]["table"],
        matches=found,
    )


def _words(row: sa.Row[Any] | None) -> str:
    return "" if row is None else str(Failure(row.function, row.error, row.file, row.line, row.event_at, None))
