"""Recording matches: with lifecycle, alerts, outbox and checkpoint, against inserting the same rows and no more."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.measure import Result, Way, timed
from trapline.alerts.match import Match, match_id
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.record import record
from trapline.detection.model import DetectionConfig, Severity
from trapline.state.database import Database
from trapline.window import Window
from trapline.workers.answer import Answer
from trapline.workers.interface import BuildDigest

_AIM = "20,000/s"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_CONFIG = DetectionConfig.model_validate(
    {"name": "bench", "tables": ["events"], "alert": {"destinations": ["soc"], "deduplication_window_minutes": 600}}
)
_ORIGIN = Origin("bench", _CONFIG, "0" * 40, BuildDigest("0" * 40))

Batches = Sequence[Sequence[Match]]


def measure(*, quick: bool) -> Result:
    """Each batch is what one scan found, and one transaction; every run begins with a new database file."""
    batches, size, runs = (2, 200, 1) if quick else (8, 2_500, 3)
    count = batches * size
    grouped, apart = (_batches(batches, size, per_key=per_key) for per_key in (100, 1))
    with TemporaryDirectory(prefix="trapline-bench-") as folder, closing(_Databases(Path(folder))) as databases:
        table = _Table.of(databases.recorded(grouped))
        plain = (Path(folder) / f"plain-{number}.db" for number in itertools.count())

        def recording(what: str, found: Batches, *, again: bool = False) -> Way:
            return Way(
                what=what,
                count=count,
                work=lambda: _record(databases.current, found, fresh=not again),
                before=lambda: databases.recorded(found if again else []),
                against="A",
                aim=_AIM,
            )

        ways = [
            Way(
                what="sqlite3: executemany of the same rows, one transaction",
                count=count,
                work=lambda: table.insert(next(plain)),
                letter="A",
            ),
            recording("record, 100 matches of each key, each alert told", grouped),
            recording("record, a key for each match, told as a storm", apart),
            recording("record, all of it known already", grouped, again=True),
        ]
        result = timed(ways, runs=runs)
    return Result(
        f"From matches to alerts (SQLite, {batches} scans that found {size:,} each)",
        "matches",
        result,
        note="Alerts, their deliveries and the checkpoint are in the transaction of the matches.",
    )


class _Databases:
    """A new database file for every run, closing the one before."""

    def __init__(self, folder: Path) -> None:
        self._homes = (folder / str(number) for number in itertools.count())
        self.current = Database.in_home(next(self._homes))

    def recorded(self, found: Batches) -> Path:
        """A new one in which this is known; its file."""
        self.current.close()
        home = next(self._homes)
        self.current = Database.in_home(home)
        _record(self.current, found, fresh=True)
        return home / "trapline.db"

    def close(self) -> None:
        self.current.close()


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns of `matches`, without keys and indexes, and rows for it as SQLite keeps them."""

    columns: str
    rows: Sequence[tuple[Any, ...]]

    @classmethod
    def of(cls, file: Path) -> _Table:
        with closing(sqlite3.connect(file)) as connection:
            named = connection.execute("SELECT name, type FROM pragma_table_info('matches')").fetchall()
            rows = connection.execute("SELECT * FROM matches").fetchall()
        return cls(", ".join(f"{name} {type_}" for name, type_ in named), rows)

    def insert(self, file: Path) -> None:
        """Puts all rows into such a table of a new file, as durably as ours are."""
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"CREATE TABLE plain ({self.columns})")
            connection.execute("BEGIN")
            marks = ", ".join("?" * len(self.rows[0]))
            connection.executemany(f"INSERT INTO plain VALUES ({marks})", self.rows)
            connection.execute("COMMIT")


def _record(database: Database, found: Batches, *, fresh: bool) -> None:
    for number, batch in enumerate(found):
        scan = _scan(number)
        recorded = record(database, _ORIGIN, scan, batch, [], now=scan.window.end)
        assert recorded.new_matches == (len(batch) if fresh else 0)


def _scan(number: int) -> ScanSummary:
    start = _START + timedelta(minutes=5 * number)
    window = Window(start, start + timedelta(minutes=5))
    return ScanSummary(f"scan-{number}", "events", window, start, 0.1, 100_000, 1_000_000, ["bench"])


def _batches(batches: int, size: int, *, per_key: int) -> Batches:
    """Matches that come 20 ms apart, the batches one after the other."""
    numbers = range(batches * size)
    return [
        [
            _match(number, key=number // per_key, at=_START + number % size * timedelta(milliseconds=20))
            for number in some
        ]
        for some in (numbers[start : start + size] for start in range(0, len(numbers), size))
    ]


def _match(number: int, *, key: int, at: datetime) -> Match:
    user = f"user-{key}"
    answer = Answer(f"{user} did something", user, Severity.HIGH, ("soc",), None, "Ask them.", {"source": "192.0.2.1"})
    stored = {
        "ts": at.isoformat(),
        "event": {"id": f"e{number}", "action": "ConsoleLogin", "outcome": "success", "category": ["authentication"]},
        "user": {"name": user, "id": f"AIDA{number:016d}"},
        "source": {"ip": "192.0.2.1", "address": "192.0.2.1"},
        "user_agent": {"original": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    }
    return Match(match_id("bench", "events", f"id e{number}"), at, answer, json.dumps(stored))
