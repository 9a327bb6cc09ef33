"""A lake of made-up events: a table of Parquet files, and the first of its records as JSON lines too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.bench.events import INTERVAL, START, events_sql
from trapline.query.connection import connect
from trapline.query.embedded.engine import DuckDBEngine
from trapline.settings import TableSettings
from trapline.window import Window

TABLES = {"events": TableSettings(path="events")}


class Event(dict[str, Any]):
    """A record as engines that make dicts have it: a dict with a helper for paths."""

    def deepget(self, path: str, default: Any = None) -> Any:
        value: Any = self
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None else value

    def to_dict(self) -> dict[str, Any]:
        return self


@dataclass(frozen=True, slots=True)
class Lake:
    """`count` records in each of its `files`; the first `sampled` of them are JSON lines as well."""

    home: Path
    count: int
    sampled: int = 0
    files: int = 1

    @classmethod
    def fill(cls, home: Path, count: int, *, sampled: int = 0) -> Lake:
        made = cls(home, count, sampled)
        made._folder.mkdir(parents=True)
        with connect() as connection:
            reader = connection.sql(events_sql(count)).to_arrow_reader(100_000)
            # not by DuckDB itself: what writes a lake seldom is what reads it
            with pq.ParquetWriter(made._folder / "events.parquet", reader.schema, compression="zstd") as parquet:
                for batch in reader:
                    parquet.write_batch(batch)
            if sampled:
                connection.execute(f"COPY ({events_sql(sampled)}) TO '{made._lines}' (FORMAT json)")
        return made

    def grown(self, files: int) -> Lake:
        """With so many files, all of them the same one under another name."""
        for number in range(self.files, files):
            (self._folder / f"events-{number}.parquet").hardlink_to(self._folder / "events.parquet")
        return replace(self, files=files)

    @property
    def records(self) -> int:
        return self.count * self.files

    @property
    def engine(self) -> DuckDBEngine:
        return DuckDBEngine(TABLES, home=self.home)

    def window(self, count: int | None = None) -> Window:
        """The window that holds the first `count` records, by default all."""
        return Window(START, START + (self.count if count is None else count) * INTERVAL)

    def events(self, count: int) -> Iterator[Event]:
        """The first `count` records, from their JSON lines."""
        with self._lines.open() as text:
            for line in islice(text, count):
                yield Event(json.loads(line))

    @property
    def _folder(self) -> Path:
        return self.home / "events"

    @property
    def _lines(self) -> Path:
        return self.home / "events.jsonl"
