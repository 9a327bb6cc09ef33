"""What need not be read is not read, and what is not read does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from tests.athena.bind import Look
from tests.athena.catalog import Column, Partition, Table
from tests.athena.prune import may_hold, partitions

DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]
SHARDS = ["1", "2", "10"]
TEXT, NUMBER = (exp.DataType.build(kind, dialect="athena") for kind in ("varchar", "integer"))
EVERY = tuple(Partition((day, shard), f"s3://lake/{day}/{shard}") for day in DAYS for shard in SHARDS)
TABLE = Table("sec", "logs", "parquet", (Column("n", NUMBER),), (Column("day", TEXT), Column("shard", NUMBER)), EVERY)


def look(table: Table, condition: str) -> Look:
    parsed = sqlglot.parse_one(condition, dialect="athena", into=exp.Condition)
    for column in parsed.find_all(exp.Column):
        column.set("table", exp.to_identifier("t"))
    return Look("look_0", "t", table, frozenset(), parsed)


def left(condition: str) -> list[tuple[str, ...]]:
    return [partition.values for partition in partitions(look(TABLE, condition), _DUCKDB)]


@pytest.mark.parametrize(
    ("condition", "days", "shards"),
    [
        ("true", DAYS, SHARDS),
        ("false", [], []),
        ("day = '2026-01-02'", DAYS[1:2], SHARDS),
        ("day >= '2026-01-02' AND n > 3", DAYS[1:], SHARDS),
        ("day = '2026-01-02' OR n > 3", DAYS, SHARDS),
        ("(day = '2026-01-01' AND n = 1) OR (day = '2026-01-03' AND n = 2)", [DAYS[0], DAYS[2]], SHARDS),
        ("shard > 1", DAYS, SHARDS[1:]),
        ("shard BETWEEN 2 AND 9 AND substr(day, 9) <> '01'", DAYS[1:], SHARDS[1:2]),
        ("NOT (day = '2026-01-02')", [DAYS[0], DAYS[2]], SHARDS),
        ("NOT (day = '2026-01-02' OR n = 1)", DAYS, SHARDS),
        ("CAST(day AS date) > DATE '2026-01-02'", DAYS[2:], SHARDS),
    ],
)
def test_partitions_are_ruled_out_by_their_values(condition: str, days: list[str], shards: list[str]) -> None:
    assert left(condition) == [(day, shard) for day in days for shard in shards]


VALUES = st.integers(-3, 3)
TESTS = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from("ab"), st.sampled_from(["=", "<", "<=", ">", ">=", "<>"]), VALUES),
    st.builds("{} IN ({}, {})".format, st.sampled_from("ab"), VALUES, VALUES),
    st.builds("{} BETWEEN {} AND {}".format, st.sampled_from("ab"), VALUES, VALUES),
    st.builds("{} IS NULL".format, st.sampled_from("ab")),
    st.builds("a = b".format),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=6,
)
ROWS = st.lists(st.fixed_dictionaries({"a": st.none() | VALUES, "b": st.none() | VALUES}), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(condition=CONDITIONS, rows=ROWS)
def test_statistics_never_rule_out_a_row_that_is_wanted(condition: str, rows: list[Mapping[str, Any]]) -> None:
    values = {name: [row[name] for row in rows if row[name] is not None] for name in "ab"}
    parsed = sqlglot.parse_one(condition, dialect="athena", into=exp.Condition)
    may = may_hold(parsed, lambda path: (min(values[path[0]]), max(values[path[0]])) if values.get(path[0]) else None)
    listed = ", ".join(f"({_sql(row['a'])}, {_sql(row['b'])})" for row in rows)
    ((found,),) = _DUCKDB.execute(f"SELECT count(*) FROM (VALUES {listed}) t(a, b) WHERE {condition}").fetchall()
    assert may or found == 0


@settings(max_examples=100, deadline=None)
@given(condition=CONDITIONS, rows=ROWS)
def test_partitions_with_a_row_that_is_wanted_are_never_ruled_out(
    condition: str, rows: list[Mapping[str, Any]]
) -> None:
    every = tuple(Partition((str(value),), f"s3://lake/{value}") for value in range(-3, 4))
    table = Table("sec", "logs", "parquet", (Column("b", NUMBER),), (Column("a", NUMBER),), every)
    found = {int(partition.values[0]) for partition in partitions(look(table, condition), _DUCKDB)}
    listed = ", ".join(f"({_sql(row['a'])}, {_sql(row['b'])})" for row in rows)
    wanted = _DUCKDB.execute(f"SELECT a FROM (VALUES {listed}) t(a, b) WHERE {condition}").fetchall()
    assert {value for (value,) in wanted if value is not None} <= found


def test_statistics_rule_out_what_lies_beside_them() -> None:
    def may(condition: str) -> bool:
        return may_hold(sqlglot.parse_one(condition, dialect="athena", into=exp.Condition), lambda path: (3, 5))

    beside = ["a = 2", "a > 5", "a >= 6", "a < 3", "a <= 2", "a IN (1, 9)", "a BETWEEN 6 AND 9", "a.b = 2"]
    assert not any(map(may, beside))
    assert all(map(may, ["a = 3", "a > 4", "a >= 5", "a < 4", "a IN (1, 4)", "a BETWEEN 5 AND 9", "lower(a) = 'x'"]))


def _sql(value: int | None) -> str:
    return "NULL::INTEGER" if value is None else str(value)


_DUCKDB = duckdb.connect()
