"""Recording matches: with lifecycle, alerts, outbox and checkpoint, against inserting the same rows and no more."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from tests.bench.measure import Result, Way, timed
from trapline.alerts.record import Match, Origin, ScanSummary, match_id, record
from trapline.detection.model import DetectionConfig, Severity
from trapline.state.database import Database
from trapline.state.schema import matches
from trapline.window import Window
from trapline.workers.answer import Answer
from trapline.workers.interface import BuildDigest

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 1_000
_CONFIG = DetectionConfig.model_validate(
    {"name": "bench", "tables": ["events"], "alert": {"destinations": ["soc"], "deduplication_window_minutes": 600}}
)
_ORIGIN = Origin("bench", _CONFIG, "0" * 40, BuildDigest("0" * 40))


def measure(*, quick: bool) -> Result:
    """Batches of 1,000 matches into a fresh SQLite database, each batch one transaction."""
    batches, runs = (2, 1) if quick else (10, 3)
    grouped = [_matches(batch, per_alert=100) for batch in range(batches)]
    apart = [_matches(0, per_alert=1)[: 100 if quick else _BATCH]]
    with TemporaryDirectory(prefix="trapline-bench-") as folder:
        databases = _Databases(Path(folder))
        _record(databases.current, grouped)
        rows = _rows(databases.current)
        ways = [
            Way(
                what="insert the same rows into one table",
                count=batches * _BATCH,
                work=lambda: _insert(databases.current, rows),
                before=databases.renew,
                letter="A",
            ),
            Way(
                what="record, 100 matches to an alert",
                count=batches * _BATCH,
                work=lambda: _record(databases.current, grouped),
                before=databases.renew,
                against="A",
            ),
            Way(
                what="record, every match an alert of its own",
                count=len(apart[0]),
                work=lambda: _record(databases.current, apart),
                before=databases.renew,
                against="A",
            ),
        ]
        result = timed(ways, runs=runs)
        databases.current.close()
    return Result(
        "Recording matches (SQLite, batches of 1,000)",
        "matches",
        result,
        note="Each alert has a delivery in the outbox; each batch moves the checkpoint.",
    )


class _Databases:
    """A new database file for every run, closing the one before."""

    def __init__(self, folder: Path) -> None:
        self._homes = (folder / str(number) for number in itertools.count())
        self.current = Database.in_home(next(self._homes))

    def renew(self) -> None:
        self.current.close()
        self.current = Database.in_home(next(self._homes))


def _record(database: Database, batches: Sequence[Sequence[Match]]) -> None:
    for number, found in enumerate(batches):
        recorded = record(database, _ORIGIN, _scan(number), found, [], now=_START)
        assert recorded.new_matches == len(found)


def _insert(database: Database, batches: Sequence[list[dict[str, Any]]]) -> None:
    for rows in batches:
        with database.transaction() as connection:
            connection.execute(matches.insert(), rows)


def _rows(database: Database) -> list[list[dict[str, Any]]]:
    with database.reading() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(matches)).mappings()]
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]


def _scan(number: int) -> ScanSummary:
    start = _START + timedelta(minutes=5 * number)
    window = Window(start, start + timedelta(minutes=5))
    return ScanSummary(f"scan-{number}", "events", window, start, 0.1, 100_000, 1_000_000, ["bench"])


def _matches(batch: int, *, per_alert: int) -> list[Match]:
    return [_match(batch, number, per_alert) for number in range(batch * _BATCH, (batch + 1) * _BATCH)]


def _match(batch: int, number: int, per_alert: int) -> Match:
    at = _START + timedelta(minutes=5 * batch, milliseconds=number)
    user = f"user-{number // per_alert}"
    title = f"{user} did something"
    answer = Answer(title, user, Severity.HIGH, ("soc",), None, "Ask them.", {"source": "192.0.2.1"})
    stored = {
        "ts": at.isoformat(),
        "event": {"id": f"e{number}", "action": "ConsoleLogin", "outcome": "success", "category": ["authentication"]},
        "user": {"name": user, "id": f"AIDA{number:016d}"},
        "source": {"ip": "192.0.2.1", "address": "192.0.2.1"},
        "user_agent": {"original": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    }
    return Match(match_id("bench", "events", f"id e{number}"), at, answer, json.dumps(stored))
