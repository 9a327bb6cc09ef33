"""The way of a record: from a file to the row numbers that matched, against what engines that make dicts do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.events import INTERVAL, SCHEMA, START, event
from tests.bench.measure import Result, Way, timed
from trapline.query.duckdb import DuckDBEngine
from trapline.query.engine import ScanRequest
from trapline.settings import TableSettings
from trapline.window import Window
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Build, BuildDigest, Limits, Rule, Worker

COUNT = 200_000
_CHUNK = 20_000
ROOMY = Limits(batch_seconds=600, memory_bytes=4 * 2**30)  # so that no limit is what is measured

TWO_FIELDS = """\
def detect(record):
    return (
        record.deepget("event.action") != "AssumeRole"
        and record.deepget("aws.cloudtrail.user_identity.type") == "Root"
    )
"""
_WHOLE_RECORD = """\
def detect(record):
    whole = record.to_dict()
    return (
        whole["event"]["action"] != "AssumeRole"
        and whole["aws"]["cloudtrail"]["user_identity"]["type"] == "Root"
    )
"""


class Event(dict[str, Any]):
    """A record as engines that make dicts have it: a dict with a helper for paths."""

    def deepget(self, path: str, default: Any = None) -> Any:
        value: Any = self
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None else value


@dataclass(frozen=True, slots=True)
class Lake:
    """The same records twice: as a Parquet table, and as JSON lines."""

    home: Path
    lines: Path
    count: int

    @classmethod
    def fill(cls, home: Path, count: int) -> Lake:
        lines, table = home / "events.jsonl", home / "events"
        table.mkdir(parents=True)
        rng = Random(7)
        with lines.open("w") as text, pq.ParquetWriter(table / "events.parquet", SCHEMA, compression="zstd") as parquet:
            for start in range(0, count, _CHUNK):
                chunk = [event(rng, number) for number in range(start, min(start + _CHUNK, count))]
                parquet.write_table(pa.Table.from_pylist(chunk, schema=SCHEMA))
                text.writelines(json.dumps(record, default=str) + "\n" for record in chunk)
        return cls(home, lines, count)

    @property
    def engine(self) -> DuckDBEngine:
        return DuckDBEngine({"events": TableSettings(path="events")}, home=self.home)

    def window(self, count: int) -> Window:
        """The window that holds the first `count` records."""
        return Window(START, START + count * INTERVAL)

    def dicts(self, count: int) -> list[Event]:
        with self.lines.open() as text:
            return [Event(json.loads(line)) for line in islice(text, count)]


def measure(*, quick: bool) -> Result:
    """200,000 records, one warm worker of the process backend; every way has to find the same records."""
    count, runs = (20_000, 1) if quick else (COUNT, 3)
    part = count // 10  # of every record made into a dict, a tenth is plenty
    detect = _in_process(TWO_FIELDS)
    with TemporaryDirectory(prefix="trapline-bench-") as folder, ExitStack() as ends:
        lake = Lake.fill(Path(folder), count)
        some = lake.dicts(_CHUNK)
        wanted = _json_lines(lake, detect)
        two, whole = (ends.enter_context(_worker(lake, source)) for source in (TWO_FIELDS, _WHOLE_RECORD))
        assert _trapline(lake, two, count) == wanted > 0
        assert _trapline(lake, whole, part) == _trapline(lake, two, part)
        ways = [
            Way(
                what="JSON lines, json.loads, dict, two fields",
                count=count,
                work=lambda: _json_lines(lake, detect),
                letter="A",
            ),
            Way(
                what="dicts already in memory, two fields",
                count=len(some),
                work=lambda: sum(map(detect, some)),
                letter="B",
            ),
            Way(
                what="Parquet to worker to row numbers, two fields",
                count=count,
                work=lambda: _trapline(lake, two, count),
                against="AB",
            ),
            Way(
                what="Parquet to worker to row numbers, record.to_dict()",
                count=part,
                work=lambda: _trapline(lake, whole, part),
                against="AB",
            ),
        ]
        result = timed(ways, runs=runs)
    return Result(f"From a file to the records that matched ({count:,} records, 34 columns)", "records", result)


def _in_process(source: str) -> Callable[[Any], bool]:
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    detect: Callable[[Any], bool] = namespace["detect"]
    return detect


def _json_lines(lake: Lake, detect: Callable[[Any], bool]) -> int:
    with lake.lines.open() as text:
        return sum(detect(Event(json.loads(line))) for line in text)


@contextmanager
def _worker(lake: Lake, source: str) -> Iterator[Worker]:
    backend = ProcessBackend(lake.home / "builds")
    digest = BuildDigest(hashlib.sha256(source.encode()).hexdigest())
    backend.build(Build(digest, "bench", {"detect.py": (source.encode(), False)}, None))
    with closing(backend.start(digest, Rule("bench", "detect.py", "record"), ROOMY)) as worker:
        yield worker


def _trapline(lake: Lake, worker: Worker, count: int) -> int:
    with lake.engine.scan(ScanRequest("events", lake.window(count))) as scan:
        return sum(len(worker.run(batch.records).matches) for batch in scan.batches())
