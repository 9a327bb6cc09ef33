"""Predicates in words."""

from __future__ import annotations

import re

import pytest

from trapline.detection.inference.predicate import FALSE, TRUE, Null, Predicate, Regex, Test, every, some
from trapline.detection.inference.spell import spelled

ACTION, NAME = ("event", "action"), ("user", "name")


@pytest.mark.parametrize(
    ("predicate", "words"),
    [
        (TRUE, "True"),
        (FALSE, "False"),
        (Null(NAME), "user.name is None"),
        (Test(NAME, "truthy"), "user.name"),
        (Test(ACTION, "eq", 'a"b'), 'event.action == "a\\"b"'),
        (Test(ACTION, "eq", None, outcome="false"), "event.action is not None"),
        (Test(ACTION, "is", True), "event.action is True"),
        (Test(ACTION, "in", ("a", 1)), 'event.action in ("a", 1)'),
        (Test(ACTION, "in", ("a",)), 'event.action in ("a",)'),
        (Test(("n",), "ge", 5, outcome="false"), "not n >= 5"),
        (Test(NAME, "startswith", ("a",), "lower"), 'user.name.lower().startswith("a")'),
        (Test(NAME, "endswith", ("a", "b")), 'user.name.endswith(("a", "b"))'),
        (Test(NAME, "contains", "x", outcome="raises"), '"x" in user.name raises'),
        (Test(NAME, "match", Regex("^a", "search")), 're.search("^a", user.name)'),
        (
            Test(NAME, "match", Regex("a", "match", re.IGNORECASE | re.DOTALL)),
            're.match("a", user.name, re.IGNORECASE|re.DOTALL)',
        ),
        (Test((), "item", "user", outcome="raises"), 'record["user"] raises'),
        (Test(("user",), "get", "name", outcome="raises"), 'user.get("name") raises'),
        (Test(NAME, "hash", outcome="raises"), "hash(user.name) raises"),
        (Null(("odd.name", "b")), 'record["odd.name"]["b"] is None'),
        (Test(NAME, "eq", "\ud800"), 'user.name == "\\ud800"'),
    ],
)
def test_a_condition(predicate: Predicate, words: str) -> None:
    assert spelled(predicate) == words


def test_what_is_not_equal_may_be_missing_too_in_python_and_is_said_so() -> None:
    other = Test(ACTION, "eq", "X", outcome="false")
    assert spelled(some(other, Null(ACTION))) == 'event.action != "X"'
    assert spelled(other) == 'event.action is not None and event.action != "X"'
    assert spelled(some(Test(NAME, "truthy", outcome="false"), Null(NAME))) == "not user.name"
    assert spelled(some(Null(ACTION), Test(ACTION, "in", (1, 2), outcome="false"))) == "event.action not in (1, 2)"


def test_parentheses_stand_where_and_meets_or() -> None:
    a, b, c = (Test((name,), "truthy") for name in "abc")
    assert spelled(every(a, some(b, c))) == "a and (b or c)"
    assert spelled(some(a, every(b, c))) == "a or (b and c)"
    assert spelled(some(a, Test(("b",), "eq", 1, outcome="false"))) == "a or (b is not None and b != 1)"
    prefix = Test(NAME, "startswith", ("adm",), "lower", "false")
    said = spelled(every(Test(ACTION, "eq", "X"), some(Null(NAME), prefix)))
    assert said == 'event.action == "X" and (user.name is None or not user.name.lower().startswith("adm"))'
