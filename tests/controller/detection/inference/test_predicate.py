"""Conjunctions and disjunctions mean what they say, however they are shortened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline.detection.inference.predicate import (
    ANYTHING,
    FALSE,
    TRUE,
    Null,
    Path,
    Predicate,
    Test,
    every,
    holds,
    paths,
    some,
)

VALUES = [None, "", "a", "A", 0, 1, True, 1.5, b"a", [], ["a"], {"a": 1}]
_PATHS: st.SearchStrategy[Path] = st.sampled_from([("p",), ("q",)])
_OPERATIONS = [
    ("truthy", None),
    ("eq", "a"),
    ("eq", 1),
    ("eq", None),
    ("is", True),
    ("in", ("a", None)),
    ("lt", 1),
    ("startswith", ("",)),
    ("startswith", ("a",)),
    ("contains", "a"),
    ("contains", 1),
    ("text", None),
    ("hash", None),
    ("get", "a"),
]


@st.composite
def _atoms(draw: st.DrawFn) -> Predicate:
    path, (op, constant) = draw(_PATHS), draw(st.sampled_from(_OPERATIONS))
    outcome = draw(st.sampled_from(["true", "false", "raises"]))
    fold = draw(st.sampled_from(["", "", "", "lower"]))
    return draw(st.sampled_from([Null(path), Test(path, op, constant, fold, outcome)]))


_PREDICATES = st.recursive(
    st.sampled_from([TRUE, FALSE]) | _atoms(),
    lambda inner: st.builds(
        lambda how, parts: how(*parts), st.sampled_from([every, some]), st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)
_RECORDS = st.fixed_dictionaries({"p": st.sampled_from(VALUES), "q": st.sampled_from(VALUES)})


@settings(max_examples=500, deadline=None)
@given(st.lists(_PREDICATES, max_size=5), _RECORDS)
def test_all_or_one_of_them_hold(parts: list[Predicate], record: dict[str, Any]) -> None:
    def get(path: Path) -> Any:
        return record[path[0]]

    assert holds(every(*parts), get) == all(holds(part, get) for part in parts)
    assert holds(some(*parts), get) == any(holds(part, get) for part in parts)


A, NOT_A, NO_A = Test(("a",), "eq", 1), Test(("a",), "eq", 1, outcome="false"), Null(("a",))
B = Test(("b",), "truthy")
TEXT = Test(("a",), "startswith", ("",))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (every(A, A), A),
        (every(A, some(A, B)), A),
        (every(A, NOT_A), FALSE),
        (every(A, NO_A), FALSE),
        (every(A, some(NO_A, B)), every(A, B)),
        (every(A, Test(("a",), "eq", None, outcome="false")), A),
        (every(TEXT, Test(("a",), "contains", "x", outcome="raises")), FALSE),
        (some(A, every(A, B)), A),
        (some(A, NOT_A, NO_A), TRUE),
        (some(A, every(some(NOT_A, NO_A), B)), some(A, B)),
        (some(), FALSE),
        (every(), TRUE),
    ],
)
def test_what_is_plain_to_see_is_left_out(made: Predicate, expected: Predicate) -> None:
    assert made == expected


def test_of_what_lies_in_a_list_anything_may_be_so() -> None:
    assert all(holds(atom, lambda _: ANYTHING) for atom in (A, NOT_A, NO_A))


def test_paths() -> None:
    assert paths(some(every(A, B), NO_A)) == {("a",), ("b",)}
