"""The columns that a user's own condition names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.playground import Playground, deploy
from trapline.detection.load import load
from trapline.query.engine import QueryError
from trapline.query.lake import Lake
from trapline.query.where import missing, named, problems, to_duckdb
from trapline.settings import parse
from trapline.source.worktree import read_directory

TEXT = pa.string()
SCHEMA = pa.schema(
    [
        ("ts", pa.timestamp("us", "UTC")),
        ("event", pa.struct([("action", TEXT), ("category", pa.list_(TEXT))])),
        ("a", pa.struct([("b", pa.struct([("c", pa.struct([("d", pa.struct([("e", TEXT)]))]))]))])),
        ("tags", pa.map_(TEXT, TEXT)),
        ("items", pa.list_(pa.struct([("name", TEXT)]))),
    ]
)


@pytest.mark.parametrize(
    "where",
    [
        "event.action = 'x'",
        '"Event"."ACTION" = \'x\'',
        "a.b.c.d.e = 'x' AND a.b IS NULL",
        "contains(event.category, 'auth') OR any_match(items, one -> one.nonesuch = 'x')",
        "element_at(tags, 'event.acton') = 'x' AND items[1].name = 'x'",
        "\"$path\" LIKE '%x%' AND day = '2026-01-01'",
        "TRY_CAST(event.action AS bigint) > 1",
    ],
)
def test_what_a_table_has(where: str) -> None:
    assert list(missing(where, SCHEMA, besides=["day"])) == []


@pytest.mark.parametrize(
    ("where", "start", "message", "remedy"),
    [
        ("event.acton = 'x'", 0, "`event` has no field `acton`", "did you mean `action`?"),
        ("1 = 1 AND evnt.action = 'x'", 10, "there is no column `evnt`", "did you mean `event`?"),
        ("a.b.c.d.f.g = 'x'", 0, "`a.b.c.d` has no field `f`", ""),
        ("NOT lower(user_name) = 'x'", 10, "there is no column `user_name`", ""),
        ("day = '2026-01-01'", 0, "there is no column `day`", ""),
    ],
)
def test_what_it_does_not_have(where: str, start: int, message: str, remedy: str) -> None:
    [one] = missing(where, SCHEMA)
    assert (one.named.start, one.message, one.remedy) == (start, message, remedy)


def test_all_that_is_named_in_order() -> None:
    where = "b.c = 1 AND (a > 2 OR b.c.d.e.f.g < 3)"
    assert [one.path for one in named(where)] == [("b", "c"), ("a",), tuple("bcdefg")]


def test_what_is_no_condition() -> None:
    for ask in (named, to_duckdb):
        with pytest.raises(QueryError, match="where") as caught:
            ask("a = = 1")
        assert caught.value.code == "syntax"


def test_a_problem_names_the_place_in_the_file_and_in_the_condition(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    event = {"id": "1", "action": "x"}
    pq.write_table(
        pa.Table.from_pylist([{"ts": datetime(2026, 1, 1, tzinfo=UTC), "event": event}]),
        ground.lake / "logs" / "a.parquet",
    )
    ground.detection("good", query={"where": "event.action = 'x'"})
    ground.detection("bad", query={"where": "event.id = '1' AND\n  event.acton = 'x'"})
    settings = parse((ground.repository / "trapline.yml").read_bytes())[0]
    lake = Lake(settings, home=ground.home, scope="x", now=lambda: datetime.now(UTC))
    detections = load(read_directory(ground.repository).files).detections
    [problem] = [problem for one in detections for problem in problems(one, lake, settings)]
    assert (problem.path, problem.code) == ("detections/bad/detection.yml", "unknown-column")
    assert problem.message == "`where`, in line 2, column 3 of it: `event` has no field `acton` in the table logs"
    assert problem.remedy == "did you mean `action`? `trapline tables show logs` lists its columns"
    assert problem.line > 1


def test_a_merge_that_names_a_column_which_is_not_there_leaves_the_last_good_version(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.records(1)
    ground.detection("one", query={"where": "event.action = 'bad'"})
    with ground.controller() as controller:
        deploy(ground, controller)
        ground.detection("one", query={"where": "event.acton = 'bad'"})
        ground.commit()
        [outcome] = controller.reconcile().outcomes
        assert outcome.action == "stalled"
        assert "detections/one/detection.yml:" in outcome.message
        assert "`event` has no field `acton` in the table logs" in outcome.message
        assert "the last good version stays live" in outcome.message
        ground.at(5)
        assert controller.tick().matches == 1
        ground.detection("one", query={"where": "event.action <> 'good'"})
        deploy(ground, controller)
