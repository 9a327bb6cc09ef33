"""Windows without records: nobody is asked about them, and all is said as if somebody had been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.athena.double import AthenaDouble, athena_double
from tests.controller.author.history.conftest import Replay
from tests.playground import NOON, Playground
from trapline.author.history import run
from trapline.author.history.past import Past

COUNTED = """\
def detect(records):
    yield {"title": f"{len(records)} records", "dedupe": records[0]["event"]["action"], "record": records[0]}
"""
BAD = "[query]\nwhere = \"event.action = 'bad'\"\n"


def said(pasts: dict[str, Past]) -> dict[str, Past]:
    """All of it but what reading took."""
    return {name: replace(past, read={}) for name, past in pasts.items()}


def every_window_scanned(replay: Replay, patch: pytest.MonkeyPatch, *arguments: Any) -> Any:
    with patch.context() as patched:
        patched.setattr(run, "looks", lambda *_: ())
        return replay(*arguments)


def test_windows_without_records_are_not_scanned(ground: Playground, replay: Replay) -> None:
    ground.batch_detection("each", COUNTED)
    ground.records(1, 2, 31)
    found = replay(0, 60)
    past = found.pasts["each"]
    assert len(found.scans) == 2
    assert (past.windows, past.records, found.records) == (12, 3, 3)
    assert [one.title for one in past.alerts] == ["2 records"]
    assert past.matches == 2


def test_records_that_its_condition_is_not_true_of_are_counted_and_not_scanned(
    ground: Playground, replay: Replay
) -> None:
    ground.batch_detection("bad", COUNTED, BAD)
    ground.records(11)
    ground.records(1, 22, 33, event={"action": "good"})
    found = replay(0, 60)
    assert len(found.scans) == 1
    assert (found.pasts["bad"].matches, found.pasts["bad"].windows, found.records) == (1, 12, 4)


def test_what_looking_took_is_told(ground: Playground, replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.batch_detection("bad", COUNTED, BAD)
    ground.records(1, event={"action": "good"})
    found = replay(0, 60)
    assert found.scans == []
    assert found.read == {"logs": found.bytes_scanned} == found.pasts["bad"].read
    assert 0 < found.bytes_scanned < every_window_scanned(replay, monkeypatch, 0, 60).bytes_scanned


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", None])
def test_it_says_what_all_scans_say(
    ground: Playground, replay: Replay, monkeypatch: pytest.MonkeyPatch, zone: str | None
) -> None:
    """Schedules side by side, records on the borders of windows, and a rule for single records beside them."""
    ground.batch_detection("each", COUNTED)
    ground.batch_detection("bad", COUNTED, f'[schedule]\nevery = "20m"\n{BAD}')
    ground.batch_detection("worse", COUNTED, "[query]\nwhere = \"event.action = 'worse'\"\n")
    ground.batch_detection("rare", COUNTED, '[schedule]\ncron = "7 * * * *"\n')
    ground.detection("single")
    minutes = [-1, 0, 5, 5, 14.999999, 15, 39.999999, 60, 66.5, 119.999999, 120]
    rows = [
        {"ts": NOON + timedelta(minutes=at), "event": {"id": str(n), "action": "good" if n % 3 else "bad"}}
        for n, at in enumerate(minutes)
    ]
    table = pa.Table.from_pylist(rows)
    times = table["ts"].cast(pa.timestamp("us", zone)) if zone else table["ts"].cast(pa.timestamp("us"))
    pq.write_table(table.set_column(0, "ts", times), ground.lake / "logs" / "a.parquet")
    found, expected = replay(0, 120), every_window_scanned(replay, monkeypatch, 0, 120)
    assert said(found.pasts) == said(expected.pasts)
    assert found.records == expected.records
    assert [found.pasts[name].matches for name in ("each", "bad", "worse", "rare", "single")] == [8, 3, 0, 1, 3]
    assert len(found.scans) < len(expected.scans)


def test_an_empty_table_is_not_scanned(ground: Playground, replay: Replay) -> None:
    ground.batch_detection("each", COUNTED)
    found = replay(0, 60)
    assert (found.scans, found.records, found.pasts["each"].windows, found.pasts["each"].troubled) == ([], 0, 12, False)


def test_few_windows_are_scanned_without_looking(ground: Playground, replay: Replay) -> None:
    ground.batch_detection("each", COUNTED)
    ground.records(1)
    assert len(replay(0, 15).scans) == 3


def test_what_cannot_be_looked_at_says_why_when_it_is_scanned(ground: Playground, replay: Replay) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs"}, "gone": {"path": "lake/gone"}})
    ground.batch_detection("wrong", COUNTED, "[query]\nwhere = \"event.colour = 'red'\"\n")
    ground.batch_detection("each", COUNTED)
    for name, table in (("away", "gone"), ("nowhere", "elsewhere")):
        ground.write(f"detections/{name}/detection.toml", f'name = "{name}"\nenabled = true\ntables = ["{table}"]\n')
        ground.write(f"detections/{name}/detection.py", COUNTED)
    ground.records(1, 31)
    found = replay(0, 60).pasts
    assert "colour" in found["wrong"].errors[0]
    assert "lake/gone does not exist" in found["away"].errors[0]
    assert "there is no table 'elsewhere'" in found["nowhere"].errors[0]
    assert (found["each"].matches, found["each"].windows, list(found["each"].errors)) == (2, 12, [])


def test_times_that_are_no_timestamps_are_scanned_as_ever(ground: Playground, replay: Replay) -> None:
    ground.batch_detection("each", COUNTED)
    rows = [{"ts": NOON.date(), "event": {"id": "1", "action": "bad"}}]
    pq.write_table(pa.Table.from_pylist(rows), ground.lake / "logs" / "a.parquet")
    assert len(replay(0, 60).scans) == 12


@pytest.fixture(scope="module")
def double() -> Iterator[AthenaDouble]:
    with athena_double() as double:
        yield double


def test_athena_is_asked_for_the_windows_that_hold_something(
    ground: Playground, replay: Replay, double: AthenaDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in double.env.items():
        monkeypatch.setenv(name, value)
    ground.settings(tables={"logs": {"engine": "athena"}}, athena={"output": double.output})
    ground.batch_detection("bad", COUNTED, BAD)
    rows = [
        {"ts": NOON + timedelta(minutes=at), "event": {"id": str(at), "action": action}}
        for at, action in ((1, "bad"), (2, "bad"), (12, "good"), (31, "bad"))
    ]
    schema = pa.schema(
        [("ts", pa.timestamp("ms", "UTC")), ("event", pa.struct([("id", pa.string()), ("action", pa.string())]))]
    )
    double.put_table("logs", pa.Table.from_pylist(rows, schema))
    found = replay(0, 60)
    assert len(double.queries) == 3  # the look, and two windows
    assert (found.pasts["bad"].matches, found.pasts["bad"].windows, found.records) == (2, 12, 3)
    expected = every_window_scanned(replay, monkeypatch, 0, 60)
    assert said(found.pasts) == said(expected.pasts)
    assert len(double.queries) == 3 + 12
