"""Many rows at once are the rows that one statement each would have made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from trapline.state import bulk
from trapline.state.bulk import insert_all
from trapline.state.database import Database
from trapline.state.schema import scans


def rows(count: int) -> list[dict[str, Any]]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        {
            "detections": ["one", "né"],
            "id": f"q{number}",
            "table_name": "events",
            "window_start": start,
            "window_end": start + timedelta(minutes=number, microseconds=7),
            "started_at": start,
            "seconds": 0.5,
            "records": number,
            "bytes_scanned": 2**40,
        }
        for number in range(count)
    ]


def stored(database: Database) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(sa.select(scans).order_by(scans.c.records)).mappings()]


def test_they_come_back_as_they_went_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_AT_ONCE", 3)
    database = Database.in_home(tmp_path)
    with database.transaction() as connection:
        insert_all(connection, scans, rows(10))
        insert_all(connection, scans, [])
    assert stored(database) == rows(10)
    database.close()
