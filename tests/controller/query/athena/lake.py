"""A lake on the double of Athena, and what tests ask of it most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pyarrow as pa

from tests.athena.double import AthenaDouble
from trapline.query.athena.engine import AthenaEngine
from trapline.query.athena.queries import Pace
from trapline.query.athena.scan import AthenaScan
from trapline.query.engine import EVERYTHING, ScanRequest, Wanted
from trapline.settings import AthenaSettings, TableSettings
from trapline.window import Window

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def quickly(stop: Event, seconds: float) -> object:
    """Waits, but not as long as the real one."""
    return stop.wait(min(seconds, 0.05))


class Lake:
    """A double, an engine on it, and what is asked of it most."""

    def __init__(self, double: AthenaDouble) -> None:
        self.double = double
        self.settings: dict[str, Any] = {"output": double.output, "timeout": "20s"}
        self.tables: dict[str, TableSettings] = {}
        self.plain = self.engine()  # for what needs no other

    def reset(self) -> None:
        """As it was at first."""
        self.double.reset()
        self.tables.clear()

    def put(
        self,
        name: str,
        rows: pa.Table,
        /,
        *,
        keys: tuple[str, ...] = (),
        projection: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.double.put_table(name, rows, partitions=keys, projection=projection)
        self.tables[name] = TableSettings(engine="athena", **settings)

    def engine(self, **settings: Any) -> AthenaEngine:
        pace = settings.pop("pace", Pace(wait=quickly))
        now = settings.pop("now", lambda: datetime.now(UTC))
        return AthenaEngine(AthenaSettings(**{**self.settings, **settings}), self.tables, home="h1", now=now, pace=pace)

    @contextmanager
    def scan(
        self, wanted: Wanted = EVERYTHING, table: str = "t", days: int = 3, **settings: Any
    ) -> Iterator[AthenaScan]:
        engine = self.engine(**settings) if settings else self.plain
        with engine.scan(ScanRequest(table, Window(NOON, NOON + timedelta(days=days))), wanted) as scan:
            yield scan

    def left(self) -> list[str]:
        """What lies where queries write."""
        answer = self.double.client("s3").list_objects_v2(Bucket="results")
        return [found["Key"] for found in answer.get("Contents", [])]
