"""The tree of a probe: expressions in the words of the source, whatever a worker says of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trapline.author.trial.values import Line, tree
from trapline.workers.interface import FailureReply, ProbedValue, ProbeReply, Span

SOURCE = 'def detect(r):\n    return (\n        r["é"] == 1\n        and not r["b"]\n    )\n'
SPANS = {
    "whole": Span(3, 8, 4, 22),
    "equal": Span(3, 8, 3, 19),
    "é": Span(3, 8, 3, 14),
    "not": Span(4, 12, 4, 22),
    "b": Span(4, 16, 4, 22),
}


def reply(values: dict[str, str | None], *, raised: str = "", times: int = 1) -> ProbeReply:
    told = [ProbedValue(SPANS[name], value, 0 if value is None else times) for name, value in values.items()]
    failure = FailureReply(0, "detect", "KeyError: no", "detect.py", 4) if raised else None
    return ProbeReply(None, 2, tuple(reversed(told)), failure, SPANS[raised] if raised else None, "")


def test_parts_lie_under_what_they_are_parts_of() -> None:
    lines = tree(SOURCE.encode(), reply({"whole": "True", "equal": "True", "é": "1", "not": "True", "b": "0"}))
    assert lines[0] == Line(0, 3, 'r["é"] == 1 and not r["b"]', "… and …", "True")
    assert [(one.depth, one.line, one.text) for one in lines[1:]] == [
        (1, 3, 'r["é"] == 1'),
        (2, 3, 'r["é"]'),
        (1, 4, 'not r["b"]'),
        (2, 4, 'r["b"]'),
    ]


def test_of_what_was_not_evaluated_the_outermost_is_told() -> None:
    lines = tree(SOURCE.encode(), reply({"whole": "False", "equal": "False", "é": "2", "not": None, "b": None}))
    assert (lines[-1].text, lines[-1].value) == ('not r["b"]', "not evaluated")


def test_what_raised_is_told_where_it_did() -> None:
    values = {"whole": None, "equal": "True", "é": "1", "not": None, "b": None}
    said = {one.text: one.value for one in tree(SOURCE.encode(), reply(values, raised="b"))}
    assert said['r["b"]'] == "raised KeyError: no"
    assert said['not r["b"]'] == said['r["é"] == 1 and not r["b"]'] == "none: it raised"
    inside = {one.text: one.value for one in tree(SOURCE.encode(), reply({"not": None}, raised="b"))}
    assert inside == {'not r["b"]': "raised KeyError: no"}


def test_what_was_gone_through_again_says_so() -> None:
    [line] = tree(SOURCE.encode(), reply({"b": "0"}, times=1_000))
    assert line.value == "0 (the last of 1,000)"


places = st.integers(0, 12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(ProbedValue, st.builds(Span, places, places, places, places), st.text(), st.integers(0, 3))))
def test_whatever_a_worker_says_there_is_a_tree(values: list[ProbedValue]) -> None:
    lines = tree(SOURCE.encode(), ProbeReply(None, 0, tuple(values), None, None, ""))
    assert len(lines) <= len(values)
    assert all("\n" not in one.text for one in lines)
