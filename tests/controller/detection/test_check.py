"""A detection against its surroundings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.files import File
from trapline.detection.check import check
from trapline.detection.load import load
from trapline.detection.model import Detection
from trapline.detection.where import condition_error


def detection(config: str) -> Detection:
    files = {
        "detections/a/detection.yml": File(content=f"name: a\n{config}".encode()),
        "detections/a/detect.py": File(content=b"def detect(record):\n    return True\n"),
    }
    loaded = load(files)
    assert not loaded.broken, loaded.problems
    return loaded.detections[0]


def test_all_is_well() -> None:
    it = detection("tables: [t]\nalert:\n  destinations: [slack]\nquery:\n  where: a.b = 1 and c like 'x%'\n")
    assert check(it, tables={"t"}, destinations={"slack"}) == []


def test_unknown_tables_and_destinations() -> None:
    it = detection("tables:\n- aws_cloudtrial\nalert:\n  destinations:\n  - slack\n  - nowhere\n")
    table, destination = check(it, tables=["aws_cloudtrail"], destinations=["slack"])
    assert (table.path, table.line, table.column, table.code) == ("detections/a/detection.yml", 3, 3, "unknown-table")
    assert table.message == "there is no table `aws_cloudtrial`"
    assert table.remedy == "did you mean `aws_cloudtrail`? add it under tables: in trapline.yml or fix the name"
    assert (destination.line, destination.code) == (7, "unknown-destination")
    assert destination.remedy == "add it under destinations: in trapline.yml or fix the name"


def test_the_line_of_a_key_that_stands_flat() -> None:
    [problem] = check(detection("tables: [t]\ndestinations:\n- nowhere\n"), tables=["t"], destinations=[])
    assert problem.line == 4


def test_a_condition_that_is_none() -> None:
    [problem] = check(detection("tables: [t]\nquery:\n  where: a = 1 or or b\n"), tables=["t"], destinations=[])
    assert (problem.line, problem.code, problem.severity) == (4, "invalid-where", "error")
    assert "at column 10 of it, near `or`: something is missing" in problem.message


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a = 1; drop table x", "more than one statement"),
        ("a = 1;", "more than one statement"),
        ("a = 1 -- and so on", "comment"),
        ("a = 1 /* b */", "comment"),
        ("a in (select b from c)", "subquery"),
        ("exists (select 1)", "subquery"),
        ("select 1", "whole query"),
        ("a = 1 union select 2", "whole query"),
        ("drop table x", "no condition"),
        ("grant a to b", "no condition"),
        ("a = 1 as b", "no condition"),
        ("1", "no condition"),
        ("('x')", "no condition"),
        ("a + 1", "no condition"),
        ("count(*) > 1", "aggregate"),
        ("row_number() over (order by a) = 1", "aggregate"),
        ("a = ?", "placeholder"),
        ("a = 1) or (b = 2", "at column 6 of it"),
        ("a = 1 limit 5", "at column 7 of it"),
        ("a = 1\n  and and b = 2", "in line 2, column"),
        ("a = 'x", "not valid SQL"),
        ("a = 1 or " * 2000 + "b", "more than 10,000 characters"),
        ("not " * 2400 + "a", "nested too deeply"),
        ("(" * 2000 + "a" + ")" * 2000, "nested too deeply"),
    ],
)
def test_not_one_condition(where: str, words: str) -> None:
    said = condition_error(where)
    assert said is not None
    assert words in said[0]
    assert said[1]


@pytest.mark.parametrize(
    "where",
    [
        "event.provider = 'ec2.amazonaws.com'",
        "a.b.c is not null and (d in ('x', 'y;z') or not e between 1 and 2)",
        "contains(event.category, 'authentication')",
        "regexp_like(user.name, '^a--b')",
        "any_match(related.ip, x -> x like '10.%')",
        "true",
        "is_admin",
        "cardinality(tags) > 1",
        '"select" = 1',
        "ts > timestamp '2024-01-01 00:00:00'",
    ],
)
def test_conditions(where: str) -> None:
    assert condition_error(where) is None


@given(st.text(alphabet="ab.='()<> ;-*/,?\"selctfrom1", max_size=40))
def test_any_text_is_judged(where: str) -> None:
    condition_error(where)
