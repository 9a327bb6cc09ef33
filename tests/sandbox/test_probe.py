"""The probe: what the expressions of a rule come to on one record, without the rule noticing."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline_sandbox.columns import Fields
from trapline_sandbox.probe import MOST_VALUES, Probe, shown
from trapline_sandbox.rule import Rule

RECORD = {"event": {"action": "Login", "outcome": "failure"}, "user": None, "count": 3}
Told = dict[str, Any]


@pytest.fixture
def told(rule: Callable[..., Rule], fields_of: Callable[..., Fields]) -> Callable[..., Told]:
    def probe(script: str, mode: str = "record", record: dict[str, Any] = RECORD) -> Told:
        return rule(script, mode).probe(fields_of(pa.RecordBatch.from_pylist([record])))

    return probe


def values(script: str, told: Told) -> dict[str, str | None]:
    """By the text of the expressions."""
    lines = script.split("\n")
    return {
        lines[one["line"] - 1][one["column"] : one["end_column"]]: one["value"]
        for one in told["values"]
        if one["line"] == one["end_line"]
    }


def test_every_part_of_a_condition_has_its_value(told: Callable[..., Told]) -> None:
    script = 'def detect(r):\n    return r.deepget("event.action") == "Login" and r["count"] > 5 and r["user"]["name"]'
    said = told(script)
    assert (said["answer"], said["returned"], said["failure"]) == ("False", 2, None)
    assert values(script, said) == {
        'r.deepget("event.action")': "'Login'",
        'r.deepget("event.action") == "Login"': "True",
        'r["count"]': "3",
        'r["count"] > 5': "False",
        'r["user"]["name"]': None,
        'r.deepget("event.action") == "Login" and r["count"] > 5 and r["user"]["name"]': "False",
    }


def test_what_a_method_is_called_on_has_its_value(told: Callable[..., Told]) -> None:
    script = "import re\ndef detect(r):\n    name = r['event']['action']\n"
    script += "    return name.lower() == 'x' or re.match('L', name)"
    said = values(script, told(script))
    assert (said["name"], said["name.lower()"]) == ("'Login'", "'login'")
    assert "re" not in said


def test_what_raised_is_named(told: Callable[..., Told]) -> None:
    script = 'def detect(r):\n    name = r["user"]\n    return "é" in "é" and r["user"]["name"] == "x"'
    said = told(script)
    assert said["answer"] is None
    assert said["failure"]["error"] == "TypeError: 'NoneType' object is not subscriptable"
    assert (said["failure"]["file"], said["failure"]["line"]) == ("detect.py", 3)
    place = said["raised"]
    assert script.split("\n")[place["line"] - 1][place["column"] : place["end_column"]] == 'r["user"]["name"]'


def test_the_taken_return_is_told(told: Callable[..., Told]) -> None:
    script = "def detect(r):\n    if r['count'] > 9:\n        return True\n    for n in range(3):\n        n + 1\n"
    script += "    return False"
    said = told(script)
    assert (said["answer"], said["returned"]) == ("False", 6)
    again = next(one for one in said["values"] if one["line"] == 5 and one["value"] == "3")
    assert again["times"] == 3


def test_an_inner_function_has_returns_of_its_own(told: Callable[..., Told]) -> None:
    said = told("def detect(r):\n    def inner():\n        return 1\n    return inner() == (lambda: 1)()")
    assert (said["answer"], said["returned"]) == ("True", 4)


def test_a_rule_of_several_records_gets_the_one(told: Callable[..., Told]) -> None:
    script = "def detect(records):\n    for r in records:\n        if r['count'] > 1:\n            yield {'title': 'x'}"
    said = told(script, "batch")
    assert said["answer"] == "[{'title': 'x'}]"
    assert values(script, said)["r['count'] > 1"] == "True"


@pytest.mark.parametrize(
    "script",
    [
        "detect = lambda r: r['count'] == 3",
        "def detect(r):\n    return False\nif True:\n    def detect(r):\n        return r['count'] == 3",
        "def detect(r):\n    return False\ndetect = (lambda found: lambda r: not found(r))(detect)",
    ],
)
def test_what_is_no_plain_function_has_an_answer_and_no_values(told: Callable[..., Told], script: str) -> None:
    said = told(script)
    assert (said["answer"], said["values"]) == ("True", [])


def test_a_decorated_function_is_still_decorated(told: Callable[..., Told]) -> None:
    script = "def flip(found):\n    return lambda r: not found(r)\n@flip\ndef detect(r):\n    return r['count'] > 5\n"
    said = told(script)
    assert (said["answer"], values(script, said)["r['count'] > 5"]) == ("True", "False")


def test_what_the_rule_keeps_is_left_as_it_is(rule: Callable[..., Rule], fields_of: Callable[..., Fields]) -> None:
    loaded = rule("seen = 0\ndef detect(r):\n    global seen\n    seen += 1\n    return seen > 1")
    fields = fields_of(pa.RecordBatch.from_pylist([RECORD]))
    assert [loaded.probe(fields)["answer"] for _ in range(2)] == ["False", "False"]
    assert loaded.run(fields, max_matches=9, max_failures=9).matches == []


@pytest.mark.parametrize(
    "line",
    [
        "match r['count']:\n        case 3 | 4 if r['user'] is None:\n            return True",
        "x: list[int] = [n for n in range(3) if (m := n)]\n    return m == 2 and x[-1] == 2 and x[0:1] == []",
        "return f\"{r['count']:>{2 + 1}}\" == '  3'",
        "del r\n    return True",
        "class A:\n        def __eq(self, o):\n            return o\n        both = 1 + 1\n    return A.both == 2",
        "x = {'a': [1]}\n    x['a'][0] += 1\n    x['b'] = 2\n    return (lambda *a, k=1: a[0] + k)(*x['a']) == 3",
        "a, *b = 1, 2, 3\n    return not b[0] < 2 <= b[1] < 3 and all(i for i in b if i)",
        "try:\n        return r['user']['x']\n    except TypeError as error:\n        return bool(error.args)",
    ],
)
def test_whatever_python_has_stays_what_it_is(told: Callable[..., Told], line: str) -> None:
    script = f"def detect(r):\n    {line}\n"
    names: dict[str, Any] = {}
    exec(script, names)
    assert told(script)["answer"] == repr(names["detect"](dict(RECORD)))


def test_a_value_is_cut_and_never_empty(told: Callable[..., Told]) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError

    assert len(shown("x" * 10_000)) <= 400
    assert len(shown([["y" * 1_000] * 100] * 100)) <= 400
    assert "Odd" in shown(Odd())
    many = told("def detect(r):\n    return " + " or ".join(f"r['count'] == {n + 10}" for n in range(500)))
    assert len(many["values"]) == MOST_VALUES


def conditions() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["r['a']", "r['b']", "r['a'] == 1", "r['b'] in (1, 2)", "r.get('c')", "r['c'] > 1", "0"])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or", "==", "is not"]), inner).map(lambda p: f"({' '.join(p)})"),
            inner.map(lambda one: f"(not {one})"),
            st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        ),
        max_leaves=12,
    )


def by_hand(node: ast.expr, r: dict[str, Any]) -> tuple[str, str | None]:
    try:
        return ast.unparse(node), repr(eval(compile(ast.Expression(node), "", "eval"), {"r": r}))
    except TypeError:
        return ast.unparse(node), None


@pytest.mark.filterwarnings("ignore:.*is.* with .*literal:SyntaxWarning")
@settings(max_examples=60, deadline=None)
@given(condition=conditions(), record=st.fixed_dictionaries({name: st.sampled_from([None, 0, 1, 2]) for name in "abc"}))
def test_values_are_those_that_the_parts_have_by_hand(
    condition: str, record: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    script = tmp_path_factory.getbasetemp() / "probed.py"
    script.write_text(f"def detect(r):\n    return {condition}\n")
    module = type(ast)("detect")
    exec(compile(script.read_text(), str(script), "exec"), module.__dict__)
    probe = Probe(str(script), module)
    answer, error = None, None
    try:
        answer = repr(module.__dict__["detect"](record))
    except TypeError as raised:
        error = raised
    try:
        probe.run(record, several=False)
    except TypeError as raised:
        assert str(raised) == str(error)
    said = probe.told()
    assert said["answer"] == answer
    assert (said["raised"] is None) == (error is None)
    line = f"    return {condition}"
    for one in said["values"]:
        text = line[one["column"] : one["end_column"]]
        if one["value"] is not None:
            assert by_hand(ast.parse(text, mode="eval").body, record)[1] == one["value"]
    first = ast.parse(condition, mode="eval").body
    while isinstance(first, ast.BoolOp):  # the first operand is always gone through
        first = first.values[0]
    told = {(one["column"], one["end_column"]): one["value"] for one in said["values"]}
    if isinstance(first, ast.Compare | ast.Subscript):
        at = len("    return ")
        assert told[at + first.col_offset, at + (first.end_col_offset or 0)] == by_hand(first, record)[1]
