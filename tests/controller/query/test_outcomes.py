"""Every operation, on every type of column, with every kind of constant: where Python has it hold, so has SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, get_args

import pyarrow as pa
import pytest

from trapline.detection.inference.predicate import _OPERATIONS, Fold, Outcome, Regex, Test
from trapline.query.condition import condition
from trapline.query.connection import connect

FOLDS: tuple[Fold, ...] = get_args(Fold)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
VALUES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.string(), ["", "a", "A", "ab\n", "K", "ß", "true", "1", None]),
    (pa.large_string(), ["a", "b", None]),
    (pa.dictionary(pa.int32(), pa.string()), ["a", "A", None]),
    (pa.int64(), [0, 1, 2, -1, 2**53 + 1, None]),
    (pa.uint8(), [0, 1, 255, None]),
    (pa.float64(), [0.0, 1.0, 1.5, float("nan"), float("inf"), -0.0, None]),
    (pa.float32(), [0.1, 1.0, float("nan"), None]),
    (pa.bool_(), [True, False, None]),
    (pa.decimal128(10, 2), [Decimal("0.00"), Decimal("1.00"), Decimal("1.50"), None]),
    (pa.timestamp("us", "UTC"), [datetime(2024, 1, 1, tzinfo=UTC), None]),
    (pa.date32(), [date(2024, 1, 1), None]),
    (pa.time64("us"), [time(0), time(1), None]),
    (pa.duration("us"), [timedelta(0), timedelta(1), None]),
    (pa.binary(), [b"", b"a", None]),
    (pa.struct({"x": pa.int64()}), [{"x": 1}, {"x": None}, None]),
    (pa.list_(pa.string()), [[], ["a"], ["ab"], ["b", None], None]),
    (pa.list_(pa.int64()), [[], [1], None]),
    (pa.map_(pa.string(), pa.string()), [[], [("x", "a")], [("x", None)], None]),
    (pa.null(), [None]),
]
PLAIN: list[Any] = [None, True, False, 0, 1, 1.0, 1.5, 2**53, 2**70, -1, "", "a", "A", "x", "1", b"a"]
TEXTS: list[Any] = [("a",), ("",), (), ("a", "b"), ("%",), ("_",)]
PATTERNS = [
    *(Regex("a", how) for how in ("match", "search", "fullmatch")),
    Regex(r"\w$", "search"),
    Regex("(?i)k", "match"),
]
CONSTANTS: dict[str, list[Any]] = {
    **{op: [None] for op in ("truthy", "hash", "text")},
    **dict.fromkeys(("eq", "lt", "le", "gt", "ge", "contains"), PLAIN),
    "is": [None, True, False],
    "in": [(), ("a",), ("a", 1, None), (True, 1.5), (2**70, "x")],
    **dict.fromkeys(("startswith", "endswith"), TEXTS),
    "match": PATTERNS,
    **{op: ["x", "y"] for op in ("get", "deepget")},
    "item": ["x", "y", 0, -1],
}


def test_every_operation_is_tried() -> None:
    assert CONSTANTS.keys() == _OPERATIONS.keys()


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[str(kind) for kind, _ in VALUES])
def test_sql_holds_wherever_python_does(kind: pa.DataType, values: list[Any], meaning_of: Any) -> None:
    batch = pa.record_batch({"c": pa.array(values, kind)})
    meaning = meaning_of(batch)
    tests = [
        Test(("c",), op, constant, fold, outcome)
        for op, constants in CONSTANTS.items()
        for constant in constants
        for fold in FOLDS
        for outcome in OUTCOMES
    ]
    said = [condition(test, batch.schema).sql for test in tests]
    with connect() as connection:
        connection.register("t", pa.table(batch))
        found: dict[str, list[bool]] = {}
        asked = sorted(set(said))
        for start in range(0, len(asked), 200):
            some = asked[start : start + 200]
            columns = ", ".join(f"({sql}) AS m{number}" for number, sql in enumerate(some))
            answers = connection.sql(f"SELECT {columns} FROM t").to_arrow_table()
            found.update(zip(some, (column.to_pylist() for column in answers.columns), strict=True))
    for test, sql in zip(tests, said, strict=True):
        for value, holds, let_through in zip(values, meaning.of(test), found[sql], strict=True):
            assert let_through is True or not holds, (test, value, sql)
