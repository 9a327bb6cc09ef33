"""Many predicates over one batch; that they say what Python says is tested with the conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from trapline.detection.inference.predicate import FALSE, TRUE, Null, Predicate, Regex, Test, every, some
from trapline.detection.inference.reads import Read
from trapline.query import masks as module
from trapline.query.engine import QueryError
from trapline.query.masks import masks
from trapline.query.pruning import narrowed, prune

MeaningOf = Callable[[pa.RecordBatch], Any]

ACTION, NAME = ("event", "action"), ("user", "name")


def _batch(count: int) -> pa.RecordBatch:
    """Few actions, as many users as records, and some of either missing."""
    return pa.RecordBatch.from_pylist(
        [
            {
                "event": {"action": f"Action{number % 7}", "tags": ["x"] * (number % 3)} if number % 11 else None,
                "user": {"name": f"user{number}" if number % 5 else None},
                "n": number,
            }
            for number in range(count)
        ]
    )


PREDICATES: list[Predicate] = [
    *(every(Test(ACTION, "eq", f"Action{n}"), Test(NAME, "endswith", (str(n),))) for n in range(10)),
    *(Test(NAME, "in", (f"user{n}", f"user{n * 10}", "nobody")) for n in range(0, 100, 7)),
    some(Null(ACTION), Test(NAME, "match", Regex("9$", "search"))),
    every(Test(ACTION, "startswith", ("Action1", "Action2")), Test(("event", "tags"), "contains", "x")),
    every(Test(ACTION, "in", ("Action1", "none")), Test(NAME, "contains", "USER1", "upper")),
    every(Test(ACTION, "eq", "none"), Test(NAME, "contains", "7")),
    Test(("n",), "lt", 100),
    Null(("event",)),
    Null(("user",)),
    TRUE,
    FALSE,
    Test(("nope",), "eq", 1),
]


@pytest.mark.parametrize("few", [0, 3, 10_000])
def test_every_way_to_ask_has_one_answer(few: int, monkeypatch: pytest.MonkeyPatch, meaning_of: MeaningOf) -> None:
    monkeypatch.setattr(module, "FEW", few)
    module._plan.cache_clear()
    batch = _batch(300)
    for part in [batch, batch.slice(13, 50), batch.slice(40, 0), batch.slice(290)]:  # what was known before is used
        found = masks(part, PREDICATES, batch.schema)
        meaning = meaning_of(part)
        for predicate, mask in zip(PREDICATES, found, strict=True):
            answer = [True] * part.num_rows if mask is None else mask.to_pylist()
            assert answer == meaning.of(predicate), predicate


def test_what_lets_everything_through_is_no_mask() -> None:
    batch = _batch(10)
    unsaid = Test(NAME, "match", Regex("(?=a)", "search"))
    mine, other, nobody = masks(batch, [TRUE, unsaid, Test(("n",), "lt", -1)], batch.schema)
    assert mine is None
    assert other is None
    assert nobody is not None
    assert (nobody.true_count, nobody.null_count, len(nobody)) == (0, 0, 10)


def test_more_conditions_than_fit_in_one_query(meaning_of: MeaningOf) -> None:
    batch = _batch(50)
    asked = [Test(NAME, "contains", f"r{n}") for n in range(2 * module.AT_A_TIME + 1)]
    meaning = meaning_of(batch)
    for predicate, mask in zip(asked, masks(batch, asked, batch.schema), strict=True):
        assert mask is not None
        assert mask.to_pylist() == meaning.of(predicate)


def test_a_dictionary_is_read_as_its_values() -> None:
    batch = pa.RecordBatch.from_pydict({"word": pa.array(["a", None, "b", "a"]).dictionary_encode()})
    (mask,) = masks(batch, [Test(("word",), "eq", "a")], batch.schema)
    assert mask is not None
    assert mask.to_pylist() == [True, False, False, True]


def test_a_pruned_batch_answers_for_what_it_has_and_for_nothing_else() -> None:
    """A column that is not there is no missing column: the schema says what a record can have."""
    batch = _batch(20)
    part = narrowed(batch, [Read(ACTION, True)])
    (mask,) = masks(part, [Test(ACTION, "eq", "Action1")], batch.schema)
    assert mask is not None
    assert mask.to_pylist() == masks(batch, [Test(ACTION, "eq", "Action1")], batch.schema)[0].to_pylist()
    assert masks(part, [Null(("nope",))], batch.schema) == [None]
    with pytest.raises(QueryError, match=r"without user\.name"):
        masks(part, [Null(NAME)], batch.schema)


def test_whether_a_struct_is_there_is_not_told_by_its_fields() -> None:
    batch = _batch(20)
    known = prune(batch.schema, [Read(ACTION, True), Read(("event",), False)]).schema
    unknown = prune(batch.schema, [Read(ACTION, True)]).schema
    part = narrowed(batch, [Read(ACTION, True)])
    (mask,) = masks(part.cast(known), [Null(("event",))], batch.schema)
    assert mask is not None
    assert mask.true_count == 2
    with pytest.raises(QueryError, match="without event"):
        masks(part.cast(unknown), [Null(("event",))], batch.schema)
