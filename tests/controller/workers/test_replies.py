"""Replies of workers, which are hostile until checked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.workers.interface import BatchReply, Limits, MatchReply, WorkerError
from trapline.workers.replies import CONTEXT_LIMIT, Refusal, Result, parse, verdicts

MATCH: dict[str, Any] = {"row": 0, "title": "t", "destinations": ["a"], "context": {"x": [1, None]}}
FAILURE: dict[str, Any] = {
    "row": None,
    "function": "detect",
    "error": "E",
    "file": "detect.py",
    "line": 3,
    "outcome": "raised",
}


def _result(**changes: Any) -> bytes:
    verdicts = {"matches": [MATCH], "failures": [FAILURE], "complete": True}
    reply = {"type": "result", "seq": 1, **verdicts, "memory": 1, "log": ""}
    return json.dumps({**reply, **changes}).encode()


def _verdicts(text: bytes, *, rows: int = 3, each_once: bool = True, most: int = 3) -> BatchReply:
    result = parse(text)
    assert isinstance(result, Result)
    return verdicts(result, seq=1, rows=rows, each_once=each_once, limits=Limits(matches=most))


def test_a_good_reply() -> None:
    reply = _verdicts(_result())
    assert reply.matches == (MatchReply(row=0, title="t", destinations=("a",), context={"x": [1, None]}),)
    assert reply.failures[0].line == 3
    refusal = b'{"type":"error","outcome":"import","error":"e","file":"","line":0,"log":""}'
    assert isinstance(parse(refusal), Refusal)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b'{"type": "result"}',
        b'{"type": "start"}',
        b"\xff",
        b"[" * 10_000,
        _result(extra=1),
        _result(seq="1"),
        _result(seq=2),
        _result(matches={}),
        _result(matches=[{**MATCH, "row": -1}]),
        _result(matches=[{**MATCH, "row": 3}]),
        _result(matches=[{**MATCH, "row": 10**30}]),
        _result(matches=[{**MATCH, "row": 1.0}]),
        _result(matches=[{**MATCH, "row": True}]),
        _result(matches=[MATCH, MATCH]),
        _result(matches=[{**MATCH, "row": None}]),
        _result(matches=[{**MATCH, "title": 3}]),
        _result(matches=[{**MATCH, "title": "x" * 1001}]),
        _result(matches=[{**MATCH, "title": "\ud800"}]),
        _result(matches=[{**MATCH, "destinations": "all"}]),
        _result(matches=[{**MATCH, "context": ["x"]}]),
        _result(matches=[{**MATCH, "context": {"x": "y" * CONTEXT_LIMIT}}]),
        _result(matches=[{**MATCH, "context": {"x": float("nan")}}]),
        _result(failures=[{**FAILURE, "row": 3}]),
        _result(failures=[{**FAILURE, "line": -1}]),
        _result(failures=[{**FAILURE, "outcome": "fine"}]),
        _result(matches=[{**MATCH, "row": row} for row in (0, 1, 2, 1)]),
        _result(memory=-1),
        _result(log=None),
    ],
)
def test_what_no_worker_of_ours_says(text: bytes) -> None:
    with pytest.raises(WorkerError, match="the worker's answer is not one of ours") as raised:
        _verdicts(text)
    assert raised.value.outcome == "protocol"
    assert raised.value.remedy


def test_more_matches_than_a_worker_may_report() -> None:
    with pytest.raises(WorkerError, match="2 matches, where 1 are the most"):
        _verdicts(_result(matches=[MATCH, {**MATCH, "row": 1}]), most=1)


def test_in_batch_mode_a_record_may_match_twice_or_be_none() -> None:
    reply = _verdicts(_result(matches=[MATCH, {**MATCH, "row": None}, MATCH]), each_once=False)
    assert [match.row for match in reply.matches] == [0, None, 0]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(text=st.one_of(st.binary(), _JSON.map(lambda value: json.dumps(value).encode())))
def test_nothing_but_a_worker_error_comes_of_anything(text: bytes) -> None:
    with pytest.raises(WorkerError):
        parse(text)


@given(
    key=st.sampled_from(["seq", "matches", "failures", "log"]),
    value=_JSON,
    field=st.sampled_from([*MATCH, *FAILURE]),
    inner=_JSON,
)
def test_a_reply_that_is_nearly_right(key: str, value: Any, field: str, inner: Any) -> None:
    changed = {key: [{**MATCH, field: inner}], "seq": 1} if key == "matches" else {key: value}
    try:
        reply = _verdicts(_result(**changed))
    except WorkerError as error:
        assert error.outcome == "protocol"
    else:
        assert all(match.row in range(3) for match in reply.matches)
