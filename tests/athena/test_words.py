"""What the double refuses, as Athena does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.athena.asking import Asker


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "SELECT nope FROM logs",
            "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved or requester is not authorized to access "
            "requested resources",
        ),
        ("SELECT event,\n  event.nope FROM logs", "COLUMN_NOT_FOUND: line 2:3: Column 'event.nope' cannot be"),
        ("SELECT 1 AS n FROM gone", "TABLE_NOT_FOUND: line 1:20: Table 'awsdatacatalog.sec.gone' does not exist"),
        ("SELECT 1 AS n FROM a.b", "SCHEMA_NOT_FOUND: line 1:20: Schema 'a' does not exist"),
        ("SELECT 1 AS n FROM x.a.b", "CATALOG_NOT_FOUND: line 1:20: Catalog 'x' does not exist"),
        ("SELECT size, strlen(event.id) AS x FROM logs", "FUNCTION_NOT_FOUND: line 1:14: Function 'strlen' not"),
        ("SELECT list_contains(event.roles, 'a') AS x FROM logs", "FUNCTION_NOT_FOUND: line 1:8: Function "),
        (
            "SELECT size FROM logs WHERE size = '1'",
            "TYPE_MISMATCH: line 1:34: Cannot apply operator: bigint = varchar(1)",
        ),
        (
            "SELECT day FROM logs WHERE event.id IN (1, 2)",
            "TYPE_MISMATCH: line 1:37: IN value and list items must be the same type or coercible to a common type. "
            "Cannot find common type between varchar and integer, all types (without duplicates): [varchar, integer]",
        ),
        (
            "SELECT size FROM logs WHERE ts BETWEEN '2026-01-01' AND '2026-01-02'",
            "TYPE_MISMATCH: line 1:32: Cannot check if timestamp(3) is BETWEEN varchar(10) and varchar(10)",
        ),
        (
            "SELECT lower(size) AS x FROM logs",
            "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (bigint) for function lower",
        ),
        (
            "SELECT size FROM logs WHERE size LIKE '1%'",
            "TYPE_MISMATCH: line 1:34: Left side of LIKE expression must evaluate to a varchar (actual: bigint)",
        ),
        ("SELECT CAST(event.action AS bigint) AS x FROM logs", "INVALID_CAST_ARGUMENT: "),
        (
            "SELECT event.roles[2] AS x FROM logs",
            "INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array length",
        ),
        ("SELECT map(ARRAY['a'], ARRAY[1])['b'] AS x", "INVALID_FUNCTION_ARGUMENT: Key not present in map: b"),
        ("SHOW TABLES", "NOT_SUPPORTED: the double runs SELECT and UNLOAD alone"),
    ],
)
def test_a_query_fails_with_the_place(ask: Asker, sql: str, said: str) -> None:
    assert ask.failure(sql).startswith(said)


@pytest.mark.parametrize(
    "sql",
    ["SELEC 1", "SELECT size::varchar FROM logs", "SELECT [1, 2] AS x", "UNLOAD (SELECT 1 AS x", "UNLOAD SELECT 1", ""],
)
def test_what_is_no_query_is_malformed(ask: Asker, sql: str) -> None:
    with pytest.raises(ClientError) as error:
        ask.start(sql or " ")
    assert error.value.response["AthenaErrorCode"] == "MALFORMED_QUERY"


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT size + 1 FROM logs", "MISSING_COLUMN_NAME: line 1:1: Column name not specified at position 1"),
        ("SELECT size, day AS SIZE FROM logs", "DUPLICATE_COLUMN_NAME: line 1:1: Column name 'size' specified more"),
        ("SELECT ts AT TIME ZONE 'UTC' AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time"),
        ("SELECT current_timestamp AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time"),
        ("SELECT CAST(ts AS time) AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: time(3)"),
        ("SELECT ts - ts AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: interval day to second"),
        ("SELECT NULL AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: unknown"),
        ("SELECT CAST(event AS json) AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: json"),
        ("SELECT ARRAY[CAST(event AS json)] AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: json"),
        ("SELECT uuid() AS t FROM logs", "NOT_SUPPORTED: Unsupported Hive type: uuid"),
        ("SELECT row(size, day) AS t FROM logs", "NOT_SUPPORTED: Anonymous row type is not supported in Hive"),
        ("SELECT CAST(ts AS timestamp(6)) AS t FROM logs", "NOT_SUPPORTED: Incorrect timestamp precision for"),
    ],
)
def test_an_unload_fails_for_what_hive_cannot_hold(
    ask: Asker, target: Callable[[str], str], select: str, said: str
) -> None:
    assert ask.failure(target(select)).startswith(said)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("TO 's3://results/x/'", "INVALID_TABLE_PROPERTY: format is a required property"),
        ("TO 's3://results/x/' WITH (format = 'ORC')", "NOT_SUPPORTED: the double writes Parquet alone"),
        ("TO 's3://results/x/' WITH (format = 'PARQUET', compression = 'LZ4')", "INVALID_TABLE_PROPERTY: Unsupported"),
        ("TO 's3://nowhere/x/' WITH (format = 'PARQUET')", "HIVE_FILESYSTEM_ERROR: The specified bucket does not"),
    ],
)
def test_an_unload_needs_a_target(ask: Asker, end: str, said: str) -> None:
    assert ask.failure(f"UNLOAD (SELECT size FROM logs) {end}").startswith(said)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("contains(event.roles, 'b')", "true"),
        ("regexp_like(event.action, '^go{2}d$')", "true"),
        ("any_match(event.roles, role -> role = 'b')", "true"),
        ("all_match(event.roles, role -> role = 'b')", "false"),
        ("none_match(filter(event.roles, role -> role = 'z'), role -> true)", "true"),
        ("cardinality(event.roles)", "2"),
        ("element_at(event.roles, 2)", "b"),
        ("element_at(event.roles, 7)", None),
        ("event.roles[2]", "b"),
        ("map(ARRAY['a'], ARRAY[1])['a']", "1"),
        ("element_at(map(ARRAY['a'], ARRAY[1]), 'b')", None),
        ("(size + 3) / 2", "2"),
        ("concat('a', CAST(NULL AS varchar))", None),
        ("'a' || event.id", "a2"),
        ("strpos(event.action, 'oo')", "2"),
        ("is_nan(CAST('nan' AS double))", "true"),
        ("date_format(ts, '%Y-%m-%d')", "2026-01-01"),
        ("json_format(CAST(event AS json))", '{"id":"2","action":"good","roles":["a","b"]}'),
        ('json_extract_scalar(\'{"a": {"b": "c"}}\', \'$.a.b\')', "c"),
        ("CAST(ts AS varchar)", "2026-01-01 02:00:00.002"),
        ("event", "{id=2, action=good, roles=[a, b]}"),
        ("ts", "2026-01-01 02:00:00.002"),
        ("ts = TIMESTAMP '2026-01-01 02:00:00.002'", "true"),
        ("ts < TIMESTAMP '2026-01-01 02:00:01 UTC'", "true"),
        ("sum(size) OVER (PARTITION BY size)", "2"),
    ],
)
def test_words_mean_what_they_mean_in_athena(ask: Asker, expression: str, value: str | None) -> None:
    assert ask.rows(f"SELECT {expression} AS x FROM logs WHERE size = 2") == [[value]]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a (x) AS (SELECT 1), b (y) AS (SELECT 2) SELECT x + y AS z FROM a, b",
        "SELECT sum(x) AS z FROM unnest(ARRAY[1, 2]) t (x)",
        "SELECT sum(x) AS z FROM (VALUES (1), (2)) AS t (x)",
    ],
)
def test_columns_that_are_named_are_no_functions(ask: Asker, sql: str) -> None:
    assert ask.rows(sql) == [["3"]]
