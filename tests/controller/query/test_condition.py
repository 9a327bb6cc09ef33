"""A condition in SQL against what the predicate means in Python, over real values in a real engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trapline.detection.inference.predicate import (
    FALSE,
    TRUE,
    Every,
    How,
    Null,
    Predicate,
    Regex,
    Some,
    Test,
    every,
    some,
)
from trapline.query.condition import condition
from trapline.query.connection import connect
from trapline.query.cover import MOST, cover, loosened
from trapline.query.masks import masks
from trapline.query.where import to_duckdb

EXAMPLES = int(os.environ.get("TRAPLINE_EXAMPLES", "150"))
"""How many a property is tried with; the long run has 20,000."""

# Letters whose case is a matter of opinion, what patterns and SQL take for signs, and what ends lines.
LETTERS = "aAkKsSiIb0 _-.%\\'\"\n\t\0\u212a\u017f\u0130\u0131\u00df\u0301\u00e9\u2028"
NAMES = ["a", "b", "A", "event", "x y", 'q"t', "d.t", "t", "select", "é", "É"]
TEXTS = st.text(LETTERS, max_size=4) | st.sampled_from(["", "a", "k", "ab", "\u212a", "\ufffd"]) | st.text(max_size=3)
INTS = st.integers(-3, 3) | st.sampled_from([127, 128, 255, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 2**70])
FLOATS = st.sampled_from([0.0, -0.0, 0.1, 0.5, 1.0, 1.5, -1.5, 1e16, 2.0**53, 2.0**63, 5e-324, 1e300]) | st.floats()
NUMBERS = INTS | FLOATS | st.booleans()
CONSTANTS = TEXTS | NUMBERS | st.none() | st.sampled_from([b"a", ("a",), "\ud800"])

MeaningOf = Callable[[pa.RecordBatch], Any]
Kind = tuple[pa.DataType, st.SearchStrategy[Any]]


def _ints(kind: pa.DataType) -> Kind:
    values = 2**kind.bit_width
    low = 0 if pa.types.is_unsigned_integer(kind) else -values // 2
    return kind, INTS.filter(lambda number: low <= number < low + values)


SCALARS: list[Kind] = [
    *[(kind, TEXTS) for kind in (pa.string(), pa.string(), pa.large_string())],
    *map(_ints, (pa.int8(), pa.int32(), pa.int64(), pa.int64(), pa.uint8(), pa.uint64())),
    (pa.float32(), FLOATS.map(lambda number: pa.scalar(number, pa.float32()).as_py())),
    (pa.float64(), FLOATS),
    (pa.bool_(), st.booleans()),
    (pa.decimal128(9, 2), st.decimals(-99, 99, places=2)),
    (pa.binary(), st.binary(max_size=2)),
    (pa.binary(2), st.binary(min_size=2, max_size=2)),
    (pa.date32(), st.dates()),
    (
        pa.timestamp("us", "UTC"),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
    ),
    (pa.timestamp("us"), st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))),
    (pa.time64("us"), st.times()),
    (pa.duration("us"), st.timedeltas(timedelta(-9999), timedelta(9999))),
    (pa.null(), st.none()),
    (pa.list_(pa.string()), st.lists(st.none() | TEXTS, max_size=3)),
    (pa.list_(pa.int64()), st.lists(st.none() | st.integers(-3, 3), max_size=3)),
    (
        pa.map_(pa.string(), pa.string()),
        st.dictionaries(TEXTS, st.none() | TEXTS, max_size=2).map(lambda d: list(d.items())),
    ),
]


def _struct(names_and_kinds: dict[str, Kind]) -> Kind:
    kind = pa.struct([(name, kind) for name, (kind, _) in names_and_kinds.items()])
    return kind, st.fixed_dictionaries({name: st.none() | values for name, (_, values) in names_and_kinds.items()})


KINDS = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3).map(_struct),
    max_leaves=5,
)
ROWS = st.dictionaries(st.sampled_from(NAMES), KINDS, min_size=1, max_size=3).map(_struct)


def _paths(kind: pa.DataType) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    yield (), kind
    for field in kind if pa.types.is_struct(kind) else ():
        yield from (((field.name, *path), inner) for path, inner in _paths(field.type))


_PIECES = st.sampled_from(
    [
        *"aAkKsb0 _-.^$",
        r"\d",
        r"\w",
        r"\s",
        r"\W",
        r"\D",
        r"\S",
        r"\b",
        r"\A",
        r"\Z",
        r"\.",
        r"\\",
        r"\n",
        "é",
        "\u212a",
        "[a-k]",
        "[^a]",
        "[^-a-z_]",
        r"[\w.-]",
        r"[^\s]",
        "[é-ü]",
        "[a&&b]",
        "[[a]",
        "[]a]",
        "(?=a)",
        r"\B",
        "(?i:a)",
    ]
)
PATTERNS = st.recursive(
    _PIECES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join),
        st.builds("({}|{})".format, inner, inner),
        st.builds("({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?", "{,2}", "*+"])),
        st.builds("{}|{}".format, inner, inner),
    ),
    max_leaves=6,
)
FLAGS = st.sampled_from([0, 0, 0, 2, 2, 4, 8, 16, 32, 64, 256, 10])
REGEXES = st.builds(Regex, PATTERNS, st.sampled_from(["match", "search", "fullmatch"]), FLAGS)
ONLY_RAISE = ["get", "deepget", "item", "hash", "text"]


@st.composite
def _tests(draw: st.DrawFn, path: tuple[str, ...], kind: pa.DataType) -> Test:
    """An operation with constants that are mostly of the column's own sort."""
    alike = TEXTS if pa.types.is_string(kind) else NUMBERS
    constants = alike | alike | CONSTANTS
    tuples = st.lists(constants, max_size=4).map(tuple)
    values = {
        **dict.fromkeys(["truthy", "hash", "text"], st.none()),
        **dict.fromkeys(["eq", "lt", "le", "gt", "ge"], constants),
        **dict.fromkeys(["contains", "item", "get", "deepget"], constants | st.sampled_from(NAMES)),
        **dict.fromkeys(["startswith", "endswith"], st.lists(TEXTS, max_size=3).map(tuple) | tuples),
        "in": tuples,
        "match": REGEXES,
    }
    op = draw(st.sampled_from(list(values)))
    outcomes = ["raises"] if op in ONLY_RAISE else ["true", "false", "true", "false", "raises"]
    fold = draw(st.sampled_from(["", "", "", "lower", "upper"]))
    return Test(path, op, draw(values[op]), fold, draw(st.sampled_from(outcomes)))


@st.composite
def predicates(draw: st.DrawFn, kind: pa.DataType) -> Predicate:
    known = dict(_paths(kind))
    paths = st.sampled_from(sorted(known)) | st.sampled_from(sorted(known)).map(lambda path: (*path, "a"))
    atoms = paths.flatmap(lambda path: st.just(Null(path)) | _tests(path, known.get(path, pa.null())))
    joins = st.sampled_from([every, some, lambda *parts: Every(parts), lambda *parts: Some(parts)])
    joined = st.recursive(
        atoms,
        lambda inner: st.builds(lambda join, parts: join(*parts), joins, st.lists(inner, max_size=4)),
        max_leaves=4,
    )
    return draw(joined)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("table") / "records.parquet"


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as connection:
        connection.execute("SET GLOBAL parquet_metadata_cache = false")  # here, one file is written again and again
        yield connection


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:Possible set:FutureWarning")  # what a strange pattern makes Python say
def test_a_condition_is_true_wherever_the_predicate_holds(
    data: st.DataObject, engine: duckdb.DuckDBPyConnection, meaning_of: MeaningOf, file: Path
) -> None:
    kind, rows = data.draw(ROWS)
    drawn = pa.array(data.draw(st.lists(rows, min_size=1, max_size=6)), kind)
    pq.write_table(pa.Table.from_batches([pa.RecordBatch.from_struct_array(drawn)]), file)
    batch = engine.sql(f"FROM read_parquet('{file}')").to_arrow_table().combine_chunks().to_batches()[0]
    asked = data.draw(st.lists(predicates(pa.struct(batch.schema)), min_size=1, max_size=5))
    said = [*(condition(predicate, batch.schema) for predicate in asked), cover(asked, batch.schema)]
    columns = ", ".join(f"({each.sql}) AS c{number}" for number, each in enumerate(said))
    answers = engine.sql(f"SELECT {columns} FROM read_parquet('{file}') AS alias_of_none").fetchall()
    masked = [*masks(batch, asked, batch.schema), None]
    meaning = meaning_of(batch)
    for number, predicate in enumerate([*asked, some(*asked)]):
        mask = masked[number]
        for row, holds in enumerate(meaning.of(predicate)):
            shown = (predicate, said[number], batch.slice(row, 1).to_pylist())
            assert answers[row][number] is True or not holds, shown
            assert mask is None or mask[row].as_py() is True or not holds, shown


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:Possible set:FutureWarning")
def test_what_is_asked_for_all_of_many_is_implied_by_each(data: st.DataObject, meaning_of: MeaningOf) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries({name: st.sampled_from("xyz") for name in "ab"}), min_size=1))
    equal = st.builds(Test, st.sampled_from([("a",), ("b",)]), st.just("eq"), st.sampled_from("xyz"))
    among = st.builds(Test, st.sampled_from([("a",), ("b",)]), st.just("in"), st.just(("x", "y")))
    joined = st.recursive(
        equal | equal | among | st.just(Null(("c",))) | st.just(Test(("a",), "truthy")),
        lambda inner: st.lists(inner, max_size=3).flatmap(lambda parts: st.sampled_from([every(*parts), some(*parts)])),
        max_leaves=5,
    )
    asked = data.draw(st.lists(joined, max_size=10))
    most = data.draw(st.sampled_from([0, 1, 3, MOST]))
    meaning = meaning_of(pa.RecordBatch.from_pylist(rows))
    assert all(
        may or not does
        for may, does in zip(meaning.of(loosened(asked, most=most)), meaning.of(some(*asked)), strict=True)
    )


# What rules mostly ask, and records that tell the answers apart.
ACTIONS = ["ConsoleLogin", "consolelogin", "Console", "", None, "DeleteTrail", "Delete%", "a_b", "x\ny", "Console\n"]
RECORDS = pa.RecordBatch.from_pylist(
    [
        {"event": None, "n": None, "f": None, "ok": None, "tags": None},
        *(
            {"event": {"action": action}, "n": number, "f": number / 2, "ok": number > 2, "tags": ["a"] * (number % 3)}
            for number, action in enumerate(ACTIONS)
        ),
        {"event": {"action": "k"}, "n": 1, "f": float("nan"), "ok": True, "tags": [None, "b"]},
    ]
)
ACTION = ("event", "action")


def _both(path: tuple[str, ...], op: str, value: Any = None, fold: Any = "") -> list[Test]:
    return [Test(path, op, value, fold, "true"), Test(path, op, value, fold, "false")]


TYPICAL: list[Predicate] = [
    *(Null(path) for path in [ACTION, ("event",), ("event", "nope"), ("nope",), ("n", "below")]),
    *_both(ACTION, "eq", "ConsoleLogin"),
    *_both(ACTION, "eq", 5),
    *_both(ACTION, "eq", None),
    *_both(ACTION, "in", ("ConsoleLogin", "", 3)),
    *_both(ACTION, "truthy"),
    *_both(ACTION, "lt", "a"),
    *_both(ACTION, "startswith", ("Delete", "Con")),
    *_both(ACTION, "endswith", ("Trail", "%", "_b")),
    *_both(ACTION, "contains", "ole"),
    *_both(ACTION, "eq", "consolelogin", "lower"),
    *_both(ACTION, "contains", "TRAIL", "upper"),
    *_both(ACTION, "match", Regex(r"^(Console|Delete\w+)$", "search")),
    *_both(ACTION, "match", Regex(r"con.*n", "fullmatch", 2)),
    *_both(ACTION, "match", Regex(r"x\sy|[^a-z]{3}", "match")),
    *(
        each
        for how in get_args(How)
        for pattern, flags in [
            ("Console$", 0),
            (r"Console\Z", 0),
            ("x.y", 0),
            ("x.y", 16),
            (r"\S+\s\S?", 0),
            ("^y$", 0),
        ]
        for each in _both(ACTION, "match", Regex(pattern, how, flags))
    ),
    *(Test(ACTION, "lt", 5, outcome=outcome) for outcome in ("true", "false", "raises")),
    *(Test(ACTION, op, "x", outcome="raises") for op in ("get", "deepget", "item")),
    *(Test(("event",), op, "x", outcome="raises") for op in ("get", "item", "startswith", "lt")),
    *_both(("event",), "truthy"),
    *_both(("event",), "eq", "x"),
    *(each for op in ("eq", "lt", "le", "gt", "ge") for each in [*_both(("n",), op, 3), *_both(("n",), op, 2.5)]),
    *(each for op in ("eq", "lt", "le", "gt", "ge") for each in [*_both(("f",), op, 1), *_both(("f",), op, 1.5)]),
    *(each for op in ("eq", "lt", "ge") for each in [*_both(("ok",), op, True), *_both(("ok",), op, 0)]),
    *(each for path in ("n", "f", "ok", "tags") for each in _both((path,), "truthy")),
    *_both(("n",), "in", (1, 2.0, 3.5, "4", True)),
    *_both(("tags",), "contains", "a"),
    Test(("n",), "startswith", ("x",), outcome="raises"),
    Test(("nope",), "eq", "x", outcome="false"),
    every(Test(("event",), "truthy"), Test(ACTION, "eq", "Console", outcome="false"), Null(("error",))),
    some(Test(ACTION, "eq", "Console"), Test(ACTION, "eq", "DeleteTrail"), Null(ACTION)),
    Test((), "item", "nope", outcome="raises"),
    Test((), "item", "event", outcome="raises"),
    TRUE,
    FALSE,
]


@pytest.mark.parametrize("predicate", TYPICAL, ids=str)
def test_what_rules_mostly_ask_is_said_exactly(
    predicate: Predicate, engine: duckdb.DuckDBPyConnection, meaning_of: MeaningOf
) -> None:
    said = condition(predicate, RECORDS.schema)
    expected = meaning_of(RECORDS).of(predicate)
    assert not said.gaps
    with engine.cursor() as cursor:
        cursor.register("records", RECORDS)
        for text in [said.sql, to_duckdb(said.sql)]:  # the second: it is Athena's SQL
            assert [row[0] is True for row in cursor.sql(f"SELECT ({text}) FROM records").fetchall()] == expected
    (mask,) = masks(RECORDS, [predicate], RECORDS.schema)
    assert expected == (mask.to_pylist() if mask is not None else [True] * RECORDS.num_rows)


SCHEMA = pa.schema([("event", pa.struct([("action", pa.string()), ("id", pa.string())])), ("n", pa.int64())])


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        (some(Test(ACTION, "eq", "it's"), Test(ACTION, "in", ("b", 3))), "\"event\".\"action\" IN ('it''s', 'b')"),
        (
            every(Test(ACTION, "eq", "a", outcome="false"), Test(ACTION, "eq", "b", outcome="false")),
            "\"event\".\"action\" NOT IN ('a', 'b')",
        ),
        (every(Test(("event",), "truthy"), Test(ACTION, "eq", "a")), '"event"."action" = \'a\''),
        (
            every(Test(("event",), "truthy"), some(Test(ACTION, "eq", "a"), Test(("n",), "eq", 1))),
            '"event" IS NOT NULL AND ("event"."action" = \'a\' OR "n" = 1)',
        ),
        (every(Test(("n",), "lt", 2.5), some(Null(ACTION), TRUE)), '"n" < 3'),
        (Null(("event", "nope")), "TRUE"),
        (Test(("event", "nope"), "eq", "a"), "FALSE"),
        (Test(ACTION, "eq", 1), "FALSE"),
    ],
)
def test_conditions_are_short(predicate: Predicate, text: str) -> None:
    assert condition(predicate, SCHEMA).sql == text


@pytest.mark.parametrize(
    ("predicate", "reason"),
    [
        (Test(ACTION, "match", Regex("(?=a)", "search")), "assert"),
        (Test(ACTION, "eq", "\0"), "no form in SQL"),
        (Test(("n",), "eq", 2**70), "beyond 64 bits"),
        (Test(("list", "x"), "eq", 1), "inside a list"),
        (Null(("Twice",)), "case alone"),
    ],
)
def test_what_cannot_be_said_is_let_through_and_told(predicate: Predicate, reason: str) -> None:
    schema = SCHEMA.append(pa.field("list", pa.list_(pa.int64())))
    schema = schema.append(pa.field("Twice", pa.int64())).append(pa.field("twice", pa.int64()))
    said = condition(every(predicate, Test(("event", "id"), "eq", "a")), schema)
    assert said.sql == '"event"."id" = \'a\''
    (gap,) = said.gaps
    assert gap.atom == predicate
    assert reason in gap.reason


BEYOND_ASCII = [
    "\u212a",
    "\u017f",
    "\u0130",
    "\u0131",
    "\u00df",
    "\ufb01",
    "\u0660",
    "\u00e9",
    "e\u0301",
    "\u2028",
    "a\u00a0",
]
OF_LETTERS: list[Predicate] = [
    *(_test for letter in BEYOND_ASCII for _test in _both(("s",), "eq", letter.lower(), "lower")),
    *(_test for letter in BEYOND_ASCII for _test in _both(("s",), "eq", letter.upper(), "upper")),
    *(_test for word in ("k", "s", "i", "ss", "fi") for _test in _both(("s",), "contains", word, "lower")),
    *(_test for word in ("K", "S", "I", "SS", "FI") for _test in _both(("s",), "startswith", (word,), "upper")),
    *(
        _test
        for pattern in (r"\d", r"\w", r"\W", r"\s", r"^.$", r"^..$", "(?i)k", "(?i)s", "(?i)[i]", "[^a]$", r"\b")
        for _test in _both(("s",), "match", Regex(pattern, "search"))
    ),
]


@pytest.mark.parametrize("predicate", OF_LETTERS, ids=str)
def test_letters_beyond_ascii_are_never_lost(
    predicate: Predicate, engine: duckdb.DuckDBPyConnection, meaning_of: MeaningOf
) -> None:
    batch = pa.RecordBatch.from_pydict({"s": BEYOND_ASCII})
    said = condition(predicate, batch.schema)
    with engine.cursor() as cursor:
        cursor.register("records", batch)
        answers = [row[0] for row in cursor.sql(f"SELECT ({said.sql}) FROM records").fetchall()]
    for letter, answer, holds in zip(BEYOND_ASCII, answers, meaning_of(batch).of(predicate), strict=True):
        assert answer is True or not holds, (letter, said)
