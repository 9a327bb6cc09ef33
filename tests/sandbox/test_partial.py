"""Records of which not everything was sent: what is there is right, and what is not is noticed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

import trapline_sandbox
from trapline.workers.interface import PRESENCE_UNKNOWN, Sieve
from trapline.workers.wire import batch_frame
from trapline_sandbox.columns import Fields, NotSent
from trapline_sandbox.record import Record, records
from trapline_sandbox.rule import Rule, Sifted

USER = pa.struct([("name", pa.string()), ("id", pa.string())])
EVENT = pa.struct([("action", pa.string()), ("kind", pa.string()), ("user", USER)])
SCHEMA = pa.schema([("event", EVENT), ("source", pa.string()), ("tags", pa.list_(pa.string())), ("count", pa.int64())])

ROW = {"event": {"action": "a", "user": {"name": "u"}}, "count": 3}
SENT = pa.schema(
    [
        ("event", pa.struct([("action", pa.string()), ("user", pa.struct([("name", pa.string())]))])),
        ("count", pa.int64()),
    ]
)
Make = Callable[..., Fields]


@pytest.fixture
def partial(fields_of: Make) -> Callable[[], Record]:
    def make() -> Record:
        batch = pa.RecordBatch.from_pylist([ROW], schema=SENT)
        return records(fields_of(batch, Sieve(SCHEMA)), range(1))[0]

    return make


# Exact, though not everything is there
EXACT: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda r: r.deepget("event.action"), "a"),
    (lambda r: r.deepget(["event", "user", "name"]), "u"),
    (lambda r: r.deepget("event.action.deeper", 1), 1),
    (lambda r: r["event"]["user"]["name"], "u"),
    (lambda r: r["event"].get("action"), "a"),
    (lambda r: r["count"], 3),
    (lambda r: r.get("nope", 1), 1),
    (lambda r: r.deepget("nope.action", 1), 1),
    (lambda r: r.deepget("event.nope", 1), 1),
    (lambda r: "nope" in r, False),
    (lambda r: "source" in r, True),
    (lambda r: len(r), 4),
    (lambda r: list(r), ["event", "source", "tags", "count"]),
    (lambda r: list(r["event"].keys()), ["action", "kind", "user"]),
    (lambda r: bool(r["event"]), True),
    (lambda r: r == 3, False),
    (lambda r: copy.deepcopy(r) is r, True),
]


@pytest.mark.parametrize(("ask", "answer"), EXACT)
def test_what_was_sent_is_read_as_ever(
    partial: Callable[[], Record], ask: Callable[[Any], Any], answer: object
) -> None:
    record = partial()
    assert ask(record) == answer
    assert ask(record) == answer  # and again, from what is decoded by now
    assert not record._fields.missed


def test_a_name_that_is_nowhere_is_explained_as_ever(partial: Callable[[], Record]) -> None:
    with pytest.raises(KeyError, match="no field 'sorce' here; did you mean 'source'") as raised:
        partial()["sorce"]
    assert str(raised.value).endswith("fields are event, source, tags, count")
    with pytest.raises(AttributeError, match=r'write record\["source"\]'):
        _ = partial().source
    with pytest.raises(KeyError):
        partial()["event"]["nope"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda r: r["source"],
        lambda r: r.get("source"),
        lambda r: r.get("source", "default"),
        lambda r: r.deepget("source"),
        lambda r: r.deepget(["tags", 0]),
        lambda r: r.deepget("event.kind"),
        lambda r: r.deepget("event.user.id.deeper"),
        lambda r: r["event"]["kind"],
        lambda r: r["event"]["user"].get("id"),
        lambda r: dict(r),
        lambda r: r.to_dict(),
        lambda r: r["event"].to_dict(),
        lambda r: r["event"]["user"].to_dict(),
        lambda r: r.to_json(),
        lambda r: json.dumps(r, default=trapline_sandbox.plain),
        lambda r: repr(r),
        lambda r: str(r["event"]),
        lambda r: r == {},
        lambda r: r != r,
        lambda r: r["event"] in [{}],
        lambda r: list(r.values()),
        lambda r: list(r.items()),
        lambda r: 3 in r.values(),
    ],
)
def test_what_was_not_sent_is_missed(partial: Callable[[], Record], ask: Callable[[Any], Any]) -> None:
    record = partial()
    for _ in range(2):
        with pytest.raises(NotSent):
            ask(record)
        assert record._fields.missed


def test_a_copy_that_would_lack_something_deep_down_is_missed(fields_of: Make) -> None:
    sent = pa.schema([("event", pa.struct([("user", pa.struct([("name", pa.string())]))]))])
    full = pa.schema([("event", pa.struct([("user", USER)]))])
    record = records(fields_of(pa.RecordBatch.from_pylist([ROW], schema=sent), Sieve(full)), range(1))[0]
    assert record.deepget("event.user.name") == "u"
    with pytest.raises(NotSent):
        record.to_dict()


def _without_presence(field: pa.Field) -> pa.Field:
    return field.with_metadata(PRESENCE_UNKNOWN)


@pytest.fixture
def hollow(fields_of: Make) -> Callable[[], list[Record]]:
    """Records whose `event` is null as far as one can see; it was not read whether that is so."""

    def make() -> list[Record]:
        event = pa.StructArray.from_arrays([pa.array(["a", None])], ["action"], mask=pa.array([True, True]))
        user = pa.StructArray.from_arrays([event], fields=[_without_presence(pa.field("event", event.type))])
        names = [pa.field("user", user.type), _without_presence(pa.field("event", event.type))]
        batch = pa.RecordBatch.from_arrays([user, event], schema=pa.schema(names))
        return records(fields_of(batch, Sieve(batch.schema)), range(2))

    return make


def test_the_inside_of_a_struct_without_its_nulls_is_right(hollow: Callable[[], list[Record]]) -> None:
    made = hollow()
    assert [one.deepget("event.action", "none") for one in made] == ["a", "none"]
    assert [one.deepget("user.event.action", "none") for one in made] == ["a", "none"]
    assert [one["user"].deepget("event.action") for one in made] == ["a", None]
    assert ["event" in one["user"] for one in made] == [True, True]
    assert not made[0]._fields.missed


@pytest.mark.parametrize(
    "ask",
    [
        lambda r: r["event"],
        lambda r: r.get("event"),
        lambda r: r.deepget("event"),
        lambda r: r.deepget("user.event"),
        lambda r: r["user"]["event"],
        lambda r: r["user"].to_dict(),
        lambda r: r.to_dict(),
        lambda r: list(r.items()),
    ],
)
def test_whether_such_a_struct_is_null_is_missed(hollow: Callable[[], list[Record]], ask: Callable[[Any], Any]) -> None:
    made = hollow()
    for record in made:
        with pytest.raises(NotSent):
            ask(record)
    assert made[0]._fields.missed


def test_a_column_the_table_does_not_have_is_not_sent() -> None:
    batch = pa.RecordBatch.from_pylist([{"file_row_number": 3}])
    with pytest.raises(ValueError, match="the table does not have: file_row_number"):
        batch_frame(batch, 1, sieve=Sieve(SCHEMA))


# The sieve: which rows a rule matches or fails on


@pytest.fixture
def sift(rule: Callable[..., Rule], fields_of: Make) -> Callable[..., Sifted]:
    """Sifts records with n = 0, 1, 2, ...; the table has a column m besides."""

    def sift(script: str, *, count: int = 4, most: int = 100) -> Sifted:
        batch = pa.RecordBatch.from_pydict({"n": range(count)})
        fields = fields_of(batch, Sieve(pa.schema([("n", pa.int64()), ("m", pa.int64())])))
        return rule(script).sift(fields, max_failures=most)

    return sift


def test_a_sieve_gives_the_rows_alone(sift: Callable[..., Sifted]) -> None:
    script = "def detect(r): return 6 / r['n'] > 2\ndef title(r): raise SystemExit"
    assert sift(script) == Sifted([1, 2], [0], complete=True, missed=False)


def test_any_exception_is_a_failure(sift: Callable[..., Sifted]) -> None:
    script = "def detect(r): raise (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit)[r['n']]"
    assert sift(script).failures == [0, 1, 2, 3]


def test_what_is_neither_true_nor_false_is_left_to_the_full_run(sift: Callable[..., Sifted]) -> None:
    assert sift("def detect(r): yield r['m']").matches == [0, 1, 2, 3]
    assert sift("class A:\n    def __bool__(self): 1 / 0\ndef detect(r): return A()").failures == [0, 1, 2, 3]


def test_a_sieve_gives_up_on_a_rule_that_fails_too_often(sift: Callable[..., Sifted]) -> None:
    assert sift("def detect(r): 1 / 0", most=4) == Sifted([], [0, 1, 2, 3], complete=True, missed=False)
    assert sift("def detect(r): 1 / 0", most=3) == Sifted([], [0, 1, 2], complete=False, missed=False)


SWALLOWING = """
asked = []
def detect(record):
    asked.append(record["n"])
    try:
        return record["n"] == 1 or record["m"]
    except {what}:
        return False
"""


@pytest.mark.parametrize("what", ["Exception", "BaseException"])
def test_a_miss_cannot_be_swallowed(sift: Callable[..., Sifted], what: str) -> None:
    assert sift(SWALLOWING.format(what=what), count=5_000) == Sifted([], [], complete=True, missed=True)


def test_after_a_miss_it_ends_soon(rule: Callable[..., Rule], fields_of: Make) -> None:
    loaded = rule(SWALLOWING.format(what="BaseException"))
    fields = fields_of(
        pa.RecordBatch.from_pydict({"n": range(50_000)}), Sieve(pa.schema([("n", pa.int64()), ("m", pa.int64())]))
    )
    assert loaded.sift(fields, max_failures=1).missed
    assert len(loaded.functions["detect"].__globals__["asked"]) < 1_000
