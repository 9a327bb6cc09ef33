"""A trapline whose time, lake and workers are simulated; planning, ticking, recording and the database are real.

Times are minutes after noon. Every rule matches every record that is not marked as bad, and fails on those; a batch
rule says in one conclusion which records its window had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from trapline.clock import SteadyClock
from trapline.config.files import File
from trapline.deploy.digest import build_digest, deploy_digest
from trapline.deploy.ledger import Ledger, Status, Sync
from trapline.deploy.overrides import Kind, Override, Overrides
from trapline.detection.model import Detection, DetectionConfig, Mode
from trapline.query.engine import EVERYTHING, QueryError, ScanBatch, ScanRequest, Wanted
from trapline.run.context import Context
from trapline.run.putoff import PutOff
from trapline.run.recorder import TickReport
from trapline.run.rules import Rules
from trapline.run.tick import Ticker
from trapline.settings import Settings
from trapline.state.checkpoints import read_checkpoints
from trapline.state.database import Database
from trapline.state.logs import Logs
from trapline.state.schema import matches, scans
from trapline.window import Checkpoint
from trapline.workers.interface import BatchReply, BuildDigest, FailureReply, Limits, MatchReply, Rule, WorkerError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCHEMA = pa.schema(
    {"ts": pa.timestamp("us", "UTC"), "event": pa.struct({"id": pa.string(), "tag": pa.string(), "bad": pa.bool_()})}
)


class Crash(BaseException):
    """The process ends here."""


class CrashingDatabase(Database):
    """A database whose process ends at a boundary of one of its transactions: before it, at its end, or after it."""

    boundaries_left: int | None = None

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        self._boundary()
        with super().transaction() as connection:
            yield connection
            self._boundary()
        self._boundary()

    def _boundary(self) -> None:
        if self.boundaries_left is not None:
            self.boundaries_left -= 1
            if self.boundaries_left < 0:
                self.boundaries_left = None
                raise Crash


@dataclass(frozen=True)
class Record:
    """Something that happened at `at` and came into the lake at `arrives`, both in minutes; `id` None for none."""

    at: float
    arrives: float
    id: str | None
    tag: str = ""
    bad: bool = False

    @property
    def lateness(self) -> float:
        return self.arrives - self.at

    @property
    def key(self) -> tuple[float, str | None, str]:
        """What it cannot be told from."""
        return self.at, self.id, self.tag


class SimulatedScan:
    query_id: str
    schema = SCHEMA
    bytes_scanned = 0
    queries = 1

    def __init__(self, number: int, records: Sequence[Record]) -> None:
        self.query_id, self._records = f"scan {number}", records

    def batches(self) -> Iterator[ScanBatch]:
        rows = [
            {"ts": NOON + timedelta(minutes=one.at), "event": {"id": one.id, "tag": one.tag, "bad": one.bad}}
            for one in self._records
        ]
        yield ScanBatch(pa.RecordBatch.from_pylist(rows, SCHEMA))

    def whole(self, positions: pa.RecordBatch) -> pa.RecordBatch:
        raise AssertionError("every batch has all columns")

    def count(self) -> int:
        return len(self._records)

    def cancel(self) -> None: ...


class SimulatedLake:
    """A table that has what has arrived by now; `broken` makes its queries fail, and each one `takes` some minutes."""

    def __init__(self, trapline: SimulatedTrapline) -> None:
        self._trapline = trapline
        self.records: list[Record] = []
        self.broken = False
        self.takes = 0.0
        self.asked: list[ScanRequest] = []

    @contextmanager
    def scan(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> Iterator[SimulatedScan]:
        self.asked.append(request)
        if self.broken:
            raise QueryError("internal", "the lake is broken")
        start, end = (minutes(moment) for moment in (request.window.start, request.window.end))
        found = [one for one in self.records if one.arrives <= self._trapline.time and start <= one.at < end]
        self._trapline.time += self.takes
        self._trapline.scans += 1
        yield SimulatedScan(self._trapline.scans, found)

    def schema(self, table: str) -> pa.Schema:
        return SCHEMA

    def latest(self, table: str) -> datetime | None:
        return None

    def estimate(self, request: ScanRequest, wanted: Wanted = EVERYTHING) -> int | None:
        return None

    def remote(self, table: str) -> bool:
        return False

    def close(self) -> None: ...


class SimulatedPool:
    """Workers that say what every rule says; those of the names in `broken` cannot be had."""

    def __init__(self) -> None:
        self.broken: set[str] = set()

    @contextmanager
    def worker(self, digest: BuildDigest, rule: Rule, limits: Limits) -> Iterator[SimulatedWorker]:
        if rule.detection in self.broken:
            raise WorkerError("unavailable", "no worker can be had")
        yield SimulatedWorker(rule)


class SimulatedWorker:
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def run(self, batch: pa.RecordBatch, *, sieve: Any = None) -> BatchReply:
        rows = batch.to_pylist()
        if self._rule.mode == "batch":
            seen = [[minutes(row["ts"]), row["event"]["id"], row["event"]["tag"]] for row in rows]
            return BatchReply((MatchReply(None, context={"seen": seen}),), (), "")
        good = [number for number, row in enumerate(rows) if not row["event"]["bad"]]
        bad = sorted({*range(len(rows))} - {*good})
        failed = tuple(FailureReply(number, "detect", "ValueError: bad", "detect.py", 1) for number in bad)
        return BatchReply(tuple(MatchReply(number) for number in good), failed, "")


class SimulatedTrapline:
    """A table `logs`, and the detections on it. `time` is true; the wall's clock is `offset` ahead of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.time = 0.0
        self.offset = 0.0
        self.scans = 0
        self.revision = 0
        self.lake, self.pool = SimulatedLake(self), SimulatedPool()
        self.configure()
        self.start()

    def configure(self, *, lag: float = 0, overlap: float = 0, failures: int = 100_000, **schedule: Any) -> None:
        table = {"path": "logs", "lag": lag * 60, "overlap": overlap * 60}
        schedule = {"every": "5m", "longest_window": "1h", **schedule}
        budget = {"failures": failures}
        self.settings = Settings.model_validate(
            {"tables": {"logs": table}, "schedule": schedule, "error_budget": budget}
        )

    def start(self) -> None:
        """Starts the process, on the state that there is."""
        self.database = CrashingDatabase(f"sqlite:///{self.home / 'trapline.db'}")
        self.ledger, self.overrides = Ledger(self.database), Overrides(self.database)
        self._steady = SteadyClock(self.wall, elapsed=lambda: self.time * 60)
        self._put_off = PutOff()

    def wall(self) -> datetime:
        return NOON + timedelta(minutes=self.time + self.offset)

    def arrive(self, *records: Record) -> None:
        self.lake.records += records

    def deploy(self, name: str, *, mode: Mode = Mode.RECORD, code: str = "", **schedule: Any) -> None:
        """Makes a version live: new where it was not, changed otherwise."""
        self.revision += 1
        config = DetectionConfig.model_validate(
            {"name": name, "enabled": True, "tables": ["logs"], "schedule": schedule}
        )
        files = {mode.script: File(content=f"# {name} {code}".encode()), mode.config: File(content=b"")}
        detection = Detection(config=config, mode=mode, path=name, files=files)
        build = build_digest(detection, lock="", platform="")
        now = self.wall()
        status = Status(name, name, name, Sync.SYNCED, str(self.revision), now)
        self.ledger.promote(
            detection,
            build=build,
            deploy=deploy_digest(detection, build),
            revision=str(self.revision),
            kind="updated",
            status=status,
            now=now,
        )

    def retire(self, name: str) -> None:
        self.ledger.retire(name, sync=Sync.RETIRED, revision="", message="", now=self.wall())

    def suspend(self, name: str) -> None:
        self.overrides.decide(Override(name, Kind.SUSPENDED, self.wall()))

    def resume(self, name: str) -> None:
        self.overrides.release(name, now=self.wall())

    def tick(self, *, by_schedule: bool = False) -> TickReport:
        context = Context(
            database=self.database,
            ledger=self.ledger,
            overrides=self.overrides,
            logs=Logs(self.database),
            engine=self.lake,
            pool=self.pool,  # type: ignore[arg-type]  # it lends workers, and does nothing else of a pool
            settings=self.settings,
            rules=Rules(self.ledger),
            now=self._steady if by_schedule else self.wall,
        )
        put_off = self._put_off if by_schedule else None
        return Ticker(context, threads=1, by_schedule=by_schedule, put_off=put_off).tick()

    def tick_and_crash(self, boundary: int) -> None:
        """A tick that ends at the given boundary of its transactions, where it has so many; then a new process."""
        self.database.boundaries_left = boundary
        try:
            self.tick(by_schedule=True)
        except Crash:
            pass
        self.database.close()
        self.start()

    def checkpoint(self, name: str) -> Checkpoint:
        return self.checkpoints()[name]

    def checkpoints(self) -> dict[str, Checkpoint]:
        return {identity: checkpoint for (identity, _), checkpoint in read_checkpoints(self.database).items()}

    def position(self, name: str) -> float:
        return minutes(self.checkpoint(name).position)

    def matched(self, name: str) -> list[tuple[float, str | None, str]]:
        """The keys of the records that a rule of one record at a time has matched."""
        return [
            (minutes(row.event_at), row.record["event"]["id"], row.record["event"]["tag"])
            for row in self._matches(name)
        ]

    def windows(self, name: str) -> list[tuple[float, float, list[tuple[float, str | None, str]]]]:
        """The windows in which a batch rule saw anything, with the keys of what it saw, in order."""
        with self.database.reading() as connection:
            known = {row.id: row for row in connection.execute(sa.select(scans))}
        found = []
        for row in self._matches(name):
            scan = known[row.scan_id]
            seen = [(at, id, tag) for at, id, tag in row.context["seen"]]
            found.append((minutes(scan.window_start), minutes(scan.window_end), seen))
        return sorted(found)

    def _matches(self, name: str) -> Sequence[Any]:
        with self.database.reading() as connection:
            return connection.execute(sa.select(matches).where(matches.c.identity == name)).all()


def minutes(moment: datetime) -> float:
    return (moment - NOON).total_seconds() / 60
