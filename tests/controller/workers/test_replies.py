"""Replies of workers, which are hostile until checked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.workers.interface import BatchReply, FailureReply, Limits, Lines, MatchReply, WorkerError
from trapline.workers.replies import (
    CONTEXT_LIMIT,
    MOST_VALUES,
    Probed,
    Refusal,
    Result,
    Sifted,
    parse,
    probed,
    sifted,
    verdicts,
)

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
    measured = _verdicts(_result(coverage={"detect.py": {"ran": [1, 3], "missing": [2]}}))
    assert measured.coverage == {"detect.py": Lines(frozenset({1, 3}), frozenset({2}))}
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
        _result(coverage=[]),
        _result(coverage={"detect.py": [1]}),
        _result(coverage={"detect.py": {"ran": [-1], "missing": []}}),
        _result(coverage={"detect.py": {"ran": ["1"], "missing": []}}),
        _result(coverage={"x" * 1001: {"ran": [], "missing": []}}),
        _result(coverage={str(number): {"ran": [], "missing": []} for number in range(1001)}),
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


def _sifted(text: bytes, *, rows: int = 3, **limits: int) -> BatchReply:
    result = parse(text)
    assert isinstance(result, Sifted)
    return sifted(result, seq=1, rows=rows, limits=Limits(**limits))


def _rows(**changes: Any) -> bytes:
    found = {"matches": [0, 2], "failures": [1], "complete": True, "missed": False}
    return json.dumps({"type": "sifted", "seq": 1, **found, "memory": 1, "log": "", **changes}).encode()


def test_a_good_reply_of_a_sieve() -> None:
    failure = FailureReply(1, "detect", "", "", 0)
    assert _sifted(_rows(), matches=1) == BatchReply((MatchReply(0), MatchReply(2)), (failure,), "")
    assert _sifted(_rows(matches=[], failures=[], missed=True)) == BatchReply((), (), "", missed=True)
    assert not _sifted(_rows(failures=[1], complete=False), failures=0).complete


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 2},
        {"matches": [3]},
        {"matches": [-1]},
        {"matches": [True]},
        {"matches": [1.0]},
        {"matches": ["1"]},
        {"matches": [None]},
        {"matches": [10**30]},
        {"matches": [{"row": 1}]},
        {"matches": None},
        {"matches": [0, 0]},
        {"matches": [1]},  # which failed, too
        {"failures": [3]},
        {"failures": [1, 1]},
        {"matches": [], "failures": [0, 1, 2]},
        {"complete": False},
        {"missed": True},
        {"missed": True, "matches": [], "failures": [], "complete": False},
        {"missed": 0},
        {"log": "x" * 300},
        {"extra": 1},
    ],
)
def test_what_no_sieve_of_ours_says(changes: dict[str, Any]) -> None:
    with pytest.raises(WorkerError, match="the worker's answer is not one of ours"):
        _sifted(_rows(**changes), failures=1, log_bytes=100)


@given(rows=st.lists(st.integers(-2, 6), max_size=6), failed=st.lists(st.integers(-2, 6), max_size=3))
def test_whatever_rows_a_sieve_names_they_are_in_the_batch_and_there_once(rows: list[int], failed: list[int]) -> None:
    try:
        reply = _sifted(_rows(matches=rows, failures=failed), rows=4)
    except WorkerError as error:
        assert error.outcome == "protocol"
    else:
        named = [one.row for one in (*reply.matches, *reply.failures)]
        assert named == rows + failed
        assert sorted(set(rows + failed) & set(range(4))) == sorted(rows + failed)


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


VALUE: dict[str, Any] = {"line": 2, "column": 4, "end_line": 2, "end_column": 9, "value": "True", "times": 1}


def _probed(**changes: Any) -> bytes:
    reply = {"type": "probed", "seq": 1, "answer": "True", "returned": 2, "values": [VALUE], "failure": None}
    return json.dumps({**reply, "raised": None, "memory": 1, "log": "", **changes}).encode()


def test_a_good_probe() -> None:
    result = parse(_probed(failure=FAILURE, raised={key: VALUE[key] for key in VALUE if key not in ("value", "times")}))
    assert isinstance(result, Probed)
    reply = probed(result, seq=1, limits=Limits())
    assert (reply.values[0].span.end_column, reply.values[0].value) == (9, "True")
    assert reply.failure is not None
    assert reply.raised == reply.values[0].span


@pytest.mark.parametrize(
    "text",
    [
        _probed(seq=2),
        _probed(answer=1),
        _probed(answer="x" * 1_001),
        _probed(values=[{**VALUE, "line": -1}]),
        _probed(values=[{**VALUE, "value": 7}]),
        _probed(values=[{**VALUE, "more": 7}]),
        _probed(values=[VALUE] * (MOST_VALUES + 1)),
        _probed(raised={"line": 1}),
        _probed(log="x" * (Limits().log_bytes + 101)),
    ],
)
def test_a_probe_that_no_worker_of_ours_sends(text: bytes) -> None:
    with pytest.raises(WorkerError, match="not one of ours"):
        probed(parse(text), seq=1, limits=Limits())  # type: ignore[arg-type]
