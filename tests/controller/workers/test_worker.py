"""Sieve runs through a real worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pyarrow as pa
import pytest

from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import (
    BatchReply,
    Build,
    FailureReply,
    Limits,
    Lines,
    MatchReply,
    Rule,
    Sieve,
    Worker,
    WorkerError,
)

SIEVE = Sieve(pa.schema([("n", pa.int64()), ("m", pa.int64())]))
Start = Callable[..., Worker]


@pytest.fixture
def start(process_backend: ProcessBackend, build_of: Callable[..., Build]) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(script: str, **limits: int) -> Worker:
            build = build_of(script)
            process_backend.build(build)
            worker = process_backend.start(build.digest, Rule("demo", "detect.py", "record"), Limits(**limits))
            stack.callback(worker.close)
            return worker

        yield begin


def test_lines_that_ran_are_told_where_they_are_asked_for(
    process_backend: ProcessBackend, build_of: Callable[..., Build]
) -> None:
    build = build_of(
        "import helper\ndef detect(r):\n    return helper.yes() or\\\n        1\n", helper__py="def yes():\n    1\n"
    )
    process_backend.build(build)
    worker = process_backend.start(build.digest, Rule("demo", "detect.py", "record", coverage=True), Limits())
    try:
        told = worker.run(_batch(2)).coverage
    finally:
        worker.close()
    assert told["detect.py"] == Lines(ran=frozenset({1, 2, 3, 4}), missing=frozenset())
    assert told["helper.py"].missing == frozenset()


def test_lines_that_nobody_asked_for_are_refused(start: Start) -> None:
    reply = {"type": "result", "seq": 1, "matches": [], "failures": [], "complete": True, "memory": 1}
    reply["coverage"] = {"detect.py": {"ran": [1], "missing": []}}
    worker = start(f"import trapline_sandbox.main as main\nmain._answer = lambda *_: {reply!r}\ndef detect(r): ...\n")
    with pytest.raises(WorkerError, match="lines that nobody asked for"):
        worker.run(_batch(1))


def test_functions_are_replaced_for_one_batch(start: Start) -> None:
    worker = start("def lookup(): return False\ndef detect(r): return lookup()\n")
    assert [len(worker.run(_batch(2), mocks=mocks).matches) for mocks in ({"lookup": True}, {}, {"lookup": 1})] == [
        2,
        0,
        2,
    ]
    [failure] = worker.run(_batch(2), mocks={"look": 1}).failures
    assert failure == FailureReply(None, "", "`look` is not there: the script has no `look`", "", 0)


def _batch(count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"n": range(count)})


def test_the_rows_that_matched_or_failed(start: Start) -> None:
    worker = start("def detect(r):\n    return 6 / r['n'] > 2\ndef title(r):\n    print('never called')\n")
    found = worker.run(_batch(5), sieve=SIEVE)
    assert found == BatchReply((MatchReply(1), MatchReply(2)), (FailureReply(0, "detect", "", "", 0),), "")
    assert "never called" in worker.run(_batch(2)).log  # a run in full, by the same worker


def test_a_rule_that_reads_more_than_was_sent(start: Start) -> None:
    worker = start("def detect(r):\n    return r['n'] == 1 or (r['n'] == 3 and r['m'] == 1)\n")
    assert worker.run(_batch(3), sieve=SIEVE).matches == (MatchReply(1),)
    assert worker.run(_batch(4), sieve=SIEVE).missed
    both = pa.RecordBatch.from_pydict({"n": range(4), "m": [1] * 4})
    assert worker.run(both, sieve=SIEVE).matches == (MatchReply(1), MatchReply(3))


def test_no_limit_of_matches_binds_a_sieve(start: Start) -> None:
    worker = start("def detect(r): return True", matches=1)
    assert [match.row for match in worker.run(_batch(200_000), sieve=SIEVE).matches] == [*range(200_000)]


@pytest.mark.parametrize(("sieve", "kind"), [(SIEVE, "result"), (None, "sifted")])
def test_an_answer_to_another_question_is_none(start: Start, sieve: Sieve | None, kind: str) -> None:
    reply = {"type": kind, "seq": 1, "matches": [], "failures": [], "complete": True, "memory": 1}
    reply |= {"missed": False} if kind == "sifted" else {}
    worker = start(f"import trapline_sandbox.main as main\nmain._answer = lambda *_: {reply!r}\ndef detect(r): ...\n")
    with pytest.raises(WorkerError, match=f"a {kind}, where something else was asked for"):
        worker.run(_batch(1), sieve=sieve)
    assert not worker.alive


def test_a_probe_beside_what_it_does_else(start: Start) -> None:
    worker = start("def detect(r):\n    print('seen')\n    return r['n'] > 0\n")
    reply = worker.probe(_batch(2).slice(1))
    assert (reply.answer, reply.returned, reply.log) == ("True", 3, "seen\n")
    assert [(one.value, one.times) for one in reply.values] == [("None", 1), ("1", 1), ("True", 1)]
    assert [match.row for match in worker.run(_batch(3)).matches] == [1, 2]


def test_a_probe_of_a_rule_that_does_not_end(start: Start) -> None:
    worker = start("def detect(r):\n    while r['n'] == 0:\n        pass\n", record_seconds=1)
    reply = worker.probe(_batch(1))
    assert reply.failure is not None
    assert (reply.failure.outcome, reply.answer) == ("timeout", None)
    assert {one.value for one in reply.values} == {"0", "True"}


def test_a_probe_is_answered_as_one(start: Start) -> None:
    script = "import trapline_sandbox.main as main\nmain._answer = lambda *_: {}\ndef detect(r): ...\n"
    worker = start(script)
    with pytest.raises(WorkerError, match="not one of ours"):
        worker.probe(_batch(1))
    assert not worker.alive
