"""How a script is called, in both formats, and what becomes of its mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from trapline_sandbox.columns import Fields
from trapline_sandbox.rule import CONTEXT_LIMIT, Rule, RuleError, TooManyMatches, Verdicts

Load = Callable[..., Rule]
Run = Callable[..., Verdicts]


@pytest.fixture
def run(rule: Load, fields_of: Callable[[pa.RecordBatch], Fields]) -> Run:
    """Runs a script over records with n = 0, 1, 2, ..."""

    def run(script: str, mode: str = "record", *, count: int = 4, most: int = 100, **others: str) -> Verdicts:
        rows = [{"n": n, "user": {"name": f"u{n}"}} for n in range(count)]
        fields = fields_of(pa.RecordBatch.from_pylist(rows))
        return rule(script, mode, **others).run(fields, max_matches=most, max_failures=most)

    return run


def _rows(verdicts: Verdicts) -> list[int | None]:
    return [match["row"] for match in verdicts.matches]


# One record at a time


def test_truthy_is_a_match_and_the_functions_speak_for_it(run: Run) -> None:
    verdicts = run(
        """
def detect(record): return record["n"] % 2
def title(record): return f"user {record.deepget('user.name')}"
def dedupe(record): return record["n"]
def severity(record): return "high"
def destinations(record): return ["a", "b"]
def description(record): return None
def alert_context(record): return {"who": record["user"], 1: {2}}
"""
    )
    assert not verdicts.failures
    assert verdicts.matches == [
        {
            "row": n,
            "title": f"user u{n}",
            "dedupe": str(n),
            "severity": "high",
            "destinations": ["a", "b"],
            "description": None,
            "runbook": None,
            "context": {"who": {"name": f"u{n}"}, "1": [2]},
        }
        for n in (1, 3)
    ]


def test_an_exception_costs_one_record_its_verdict(run: Run) -> None:
    verdicts = run("def detect(r):\n    return 6 / r['n'] == 3\n")
    assert _rows(verdicts) == [2]
    assert verdicts.failures == [
        {
            "row": 0,
            "function": "detect",
            "error": "ZeroDivisionError: division by zero",
            "file": "detect.py",
            "line": 2,
            "outcome": "raised",
        }
    ]


def test_an_exception_in_another_function_costs_its_answer_alone(run: Run) -> None:
    verdicts = run(
        "def detect(r): return r['n'] == 1\n\ndef title(r):\n    return r['nme']\n\ndef severity(r): return 'low'"
    )
    (match,), (failure,) = verdicts.matches, verdicts.failures
    assert (match["row"], match.get("title"), match["severity"]) == (1, None, "low")
    assert (failure["function"], failure["row"], failure["line"]) == ("title", 1, 4)


def test_the_place_is_the_innermost_one_of_the_detection(run: Run) -> None:
    helper = "import json\n\ndef parse(text):\n    return json.loads(text)\n"
    verdicts = run("from helper import parse\ndef detect(r):\n    return parse('{')\n", count=1, helper=helper)
    assert (verdicts.failures[0]["file"], verdicts.failures[0]["line"]) == ("helper.py", 4)


@pytest.mark.parametrize("end", ["raise SystemExit(3)", "raise KeyboardInterrupt", "raise GeneratorExit", "exit_()"])
def test_nothing_a_rule_raises_ends_the_worker(run: Run, end: str) -> None:
    verdicts = run(
        f"import sys\nexit_ = sys.exit\ndef detect(r):\n    if r['n'] == 1:\n        {end}\n    return True\n"
    )
    assert _rows(verdicts) == [0, 2, 3]
    assert verdicts.failures[0]["line"] == 5


@pytest.mark.parametrize("mode", ["record", "batch"])
def test_more_matches_than_allowed(run: Run, mode: str) -> None:
    script = "def detect(r): return True" if mode == "record" else "def detect(rs): yield from rs"
    assert len(run(script, mode, most=4).matches) == 4
    with pytest.raises(TooManyMatches, match="more than 3 times"):
        run(script, mode, most=3)


@pytest.mark.parametrize("mode", ["record", "batch"])
def test_a_rule_that_fails_too_often_is_given_up(run: Run, mode: str) -> None:
    script = "def detect(r): return 1 / 0" if mode == "record" else "def detect(rs): yield from 'abcd'"
    verdicts = run(script, mode, most=4)
    assert (len(verdicts.failures), verdicts.complete) == (4, True)
    verdicts = run(script, mode, most=3)
    assert (len(verdicts.failures), verdicts.complete) == (3, False)


def test_threads_beyond_the_limit_are_told_apart(run: Run) -> None:
    failures = run('def detect(r): raise RuntimeError("can\'t start new thread")', count=1).failures
    assert failures[0]["outcome"] == "pids"


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("def detect(r):\n    yield True", "generator"),
        ("def yes(): return True\ndef detect(r):\n    return yes", "function"),
        ("class A:\n    def __await__(self): yield\ndef detect(r):\n    return A()", "A"),
    ],
)
def test_a_verdict_that_is_always_true_is_a_mistake(run: Run, script: str, what: str) -> None:
    verdicts = run(script, count=1)
    assert not verdicts.matches
    assert verdicts.failures[0]["error"].startswith(f"detect returned a {what}, which is always true")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("'one'", "destinations must be a list of names, not 'one'"),
        ("[1]", "destinations must be a list of names, not [1]"),
    ],
)
def test_destinations_are_a_list_of_names(run: Run, answer: str, error: str) -> None:
    verdicts = run(f"def detect(r): return True\ndef destinations(r): return {answer}", count=1)
    assert verdicts.failures[0]["error"] == error
    assert "destinations" not in verdicts.matches[0]


def test_texts_are_capped_and_clean(run: Run) -> None:
    verdicts = run(
        "def detect(r): return True\ndef title(r): return 'x' * 5000\ndef dedupe(r): return '\\ud800'\n"
        "def runbook(r): return 'y' * 50_000\ndef alert_context(r): return {'big': 'z' * 100_000}",
        count=1,
    )
    match = verdicts.matches[0]
    assert match["title"] == "x" * 999 + "…"
    assert match["dedupe"] == "?"
    assert len(match["runbook"]) == 20_000
    assert str(CONTEXT_LIMIT) in match["context"]["truncated"]


@pytest.mark.parametrize(
    "explodes",
    [
        "    for _ in range(30):\n        context = {'again': [context] * 10}\n",
        "    context['a'] = context['b'] = [context, context]\n",
    ],
    ids=["shared", "endless"],
)
@pytest.mark.parametrize("mode", ["record", "batch"])
def test_a_context_that_is_immense_once_it_is_written_down_is_given_up(run: Run, explodes: str, mode: str) -> None:
    made = f"def made():\n    context = {{}}\n{explodes}    return context\n"
    rule = {
        "record": "def detect(r): return True\ndef alert_context(r): return made()",
        "batch": "def detect(records): yield {'record': records[0], 'found': made()}",
    }
    verdicts = run(made + rule[mode], mode=mode, count=1)
    assert verdicts.failures == []
    assert verdicts.matches[0]["context"] == {"truncated": f"more than {CONTEXT_LIMIT} values of context"}


def test_a_context_that_holds_itself_once_is_cut_where_it_is_too_deep(run: Run) -> None:
    script = "def detect(r): return True\ndef alert_context(r):\n    c = {'n': 1}\n    c['c'] = c\n    return c"
    context = run(script, count=1).matches[0]["context"]
    for _ in range(31):
        assert context["n"] == 1
        context = context["c"]
    assert context == {"n": 1, "c": "(nested too deeply)"}


def test_an_error_whose_text_fails_is_still_reported(run: Run) -> None:
    script = "class E(Exception):\n    def __str__(self): raise ValueError\ndef detect(r): raise E"
    assert run(script, count=1).failures[0]["error"] == "E (its text cannot be had)"


# All records of a batch at once


def test_yielded_dictionaries_name_their_record_and_fields(run: Run) -> None:
    verdicts = run(
        """
def detect(records):
    assert type(records) is list
    for record in records:
        if record["n"] == 2:
            yield {"record": record, "title": "T", "severity": "low", "count": 3, "seen": [records[0]]}
def title(record): return "from the function"
def dedupe(record): return record["user"]["name"]
""",
        "batch",
    )
    (match,) = verdicts.matches
    assert (match["row"], match["title"], match["dedupe"], match["severity"]) == (2, "T", "u2", "low")
    assert match["context"] == {"count": 3, "seen": [{"n": 0, "user": {"name": "u0"}}]}


def test_a_yielded_record_is_a_match_of_it(run: Run) -> None:
    verdicts = run("def detect(records):\n    return [r for r in records if r['n'] > 1]", "batch")
    assert _rows(verdicts) == [2, 3]


def test_a_dictionary_may_name_no_record(run: Run) -> None:
    verdicts = run(
        "def detect(records):\n    yield {'total': len(records), 'record': 'all'}\n"
        "def title(d): return f\"{d['total']} records\"",
        "batch",
    )
    (match,) = verdicts.matches
    assert (match["row"], match["title"]) == (None, "4 records")
    assert match["context"] == {"total": 4, "record": "all"}


def test_what_was_yielded_before_an_exception_is_kept(run: Run) -> None:
    verdicts = run(
        "def detect(records):\n    yield records[3]\n    yield {'record': records[1]}\n    raise ValueError('x')",
        "batch",
    )
    assert _rows(verdicts) == [3, 1]
    place = {"function": "detect", "file": "detection.py", "line": 4}
    assert verdicts.failures == [{"row": None, "error": "ValueError: x", "outcome": "raised", **place}]


def test_a_wrong_yield_is_a_failure_of_its_own(run: Run) -> None:
    verdicts = run("def detect(records):\n    yield 3\n    yield records[0]", "batch")
    assert _rows(verdicts) == [0]
    assert "must yield a dictionary or a record for each match, not a int" in verdicts.failures[0]["error"]


@pytest.mark.parametrize("found", ["True", "'yes'", "{'a': 1}"])
def test_a_wrong_return_is_explained(run: Run, found: str) -> None:
    verdicts = run(f"def detect(records): return {found}", "batch")
    assert not verdicts.matches
    assert "must yield its matches or return a list of them" in verdicts.failures[0]["error"]


def test_returning_nothing_matches_nothing(run: Run) -> None:
    verdicts = run("def detect(records): pass", "batch")
    assert (verdicts.matches, verdicts.failures) == ([], [])


# Loading


@pytest.mark.parametrize(
    ("script", "reply"),
    [
        ("x = 1\ny = nope\n", {"error": "NameError: name 'nope' is not defined", "file": "detect.py", "line": 2}),
        ("def detect(r:\n", {"error": "SyntaxError: '(' was never closed", "file": "detect.py", "line": 1}),
        ("import nope\n", {"error": "ModuleNotFoundError: No module named 'nope'", "file": "detect.py", "line": 1}),
        ("raise SystemExit('bye')\n", {"error": "SystemExit: bye", "file": "detect.py", "line": 1}),
        ("def detekt(r): ...\n", {"error": "detect.py defines no function detect", "file": "detect.py", "line": 0}),
    ],
)
def test_a_script_that_cannot_be_loaded_says_where(rule: Load, script: str, reply: dict[str, Any]) -> None:
    with pytest.raises(RuleError) as raised:
        rule(script)
    assert raised.value.reply == reply


def test_functions_are_listed(rule: Load) -> None:
    assert set(rule("def detect(r): ...\ndef title(r): ...\nrunbook = 'no function'").functions) == {"detect", "title"}
