"""Poison records: the one that is to blame is found, and every other record gets its verdict once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline.workers import poison
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import BatchReply, Build, Limits, MatchReply, Rule, WorkerError
from trapline.workers.poison import DEATHS, SLICE, run_each
from trapline.workers.pool import Pool


def _batch(count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"n": range(count)})


class Fake:
    """A rule that matches every third record and dies on the poison; `dies` is the outcome."""

    def __init__(self, poison: Collection[int], outcome: str = "crashed") -> None:
        self.poison, self.outcome = poison, outcome
        self.asked = self.deaths = 0

    def __call__(self, batch: pa.RecordBatch) -> BatchReply:
        rows = batch["n"].to_pylist()
        self.asked += 1
        if self.poison and not set(self.poison).isdisjoint(rows):
            self.deaths += 1
            raise WorkerError(self.outcome, "it died", file="detect.py", line=3)
        return BatchReply(tuple(MatchReply(row) for row, n in enumerate(rows) if n % 3 == 0), (), "x")


@settings(deadline=None)
@given(count=st.integers(1, 3 * SLICE), poison=st.sets(st.integers(0, 3 * SLICE - 1), max_size=DEATHS // 2))
def test_every_record_gets_its_verdict_or_is_a_failure_once(count: int, poison: set[int]) -> None:
    rule = Fake(poison)
    reply = run_each(rule, _batch(count), Limits())
    assert {failure.row for failure in reply.failures} == {n for n in poison if n < count}
    assert [match.row for match in reply.matches] == [n for n in range(0, count, 3) if n not in poison]
    assert all((one.outcome, one.file, one.line) == ("crashed", "detect.py", 3) for one in reply.failures)


def test_without_poison_nothing_is_asked_twice() -> None:
    rule = Fake(())
    run_each(rule, _batch(3 * SLICE), Limits())
    assert rule.asked == 1


def test_one_poison_record_costs_few_workers() -> None:
    rule = Fake({SLICE + 7})
    run_each(rule, _batch(100 * SLICE), Limits(matches=100 * SLICE))
    assert rule.deaths == 4  # the last one is the second proof


@pytest.mark.parametrize("outcome", ["import", "matches", "unavailable"])
def test_what_no_record_is_to_blame_for_is_not_looked_for(outcome: str) -> None:
    rule = Fake({1}, outcome)
    with pytest.raises(WorkerError):
        run_each(rule, _batch(10), Limits())
    assert rule.asked == 1


def test_a_rule_that_dies_on_too_many_records_is_to_blame_itself() -> None:
    rule = Fake(range(DEATHS + 2))
    reply = run_each(rule, _batch(100), Limits())
    assert not reply.complete
    assert 0 < len(reply.failures) <= DEATHS + 1
    assert rule.deaths <= 2 * DEATHS + 3  # the first, and for each of them a second proof


def test_a_death_that_does_not_come_again_is_nobodys_fault() -> None:
    rule, once = Fake({3}), [True, True]

    def run(batch: pa.RecordBatch) -> BatchReply:
        if batch.num_rows == 1 and batch["n"][0].as_py() == 3 and once:
            once.pop()
            return Fake(set() if not once else {3})(batch)
        return rule(batch)

    reply = run_each(run, _batch(10), Limits())
    assert ([match.row for match in reply.matches], reply.failures) == ([0, 3, 6, 9], ())


def test_a_worker_that_cannot_be_started_is_no_records_fault() -> None:
    def run(_: pa.RecordBatch) -> BatchReply:
        error = WorkerError("crashed", "it died at its import")
        error.starting = True
        raise error

    with pytest.raises(WorkerError, match="at its import"):
        run_each(run, _batch(1), Limits())


def test_a_batch_that_is_slow_as_a_whole_is_not_searched() -> None:
    rule = Fake({1}, "timeout")
    with pytest.raises(WorkerError):
        run_each(rule, _batch(10), Limits(batch_seconds=0))
    assert rule.asked == 1


def test_the_search_takes_no_longer_than_a_batch_may(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(0, 1_000_000, 30))
    monkeypatch.setattr(poison, "monotonic", lambda: next(moments))
    rule = Fake({1})
    reply = run_each(rule, _batch(10), Limits(batch_seconds=60))
    assert (reply.complete, [failure.row for failure in reply.failures]) == (False, [1])  # what it found by then
    assert rule.asked <= 5
    with pytest.raises(WorkerError):
        run_each(Fake({9}), _batch(10), Limits(batch_seconds=60))


def test_no_limit_on_a_batch_is_passed_by_cutting_it() -> None:
    limits = Limits(matches=SLICE // 3 + 1)
    with pytest.raises(WorkerError) as raised:
        run_each(Fake({0}), _batch(2 * SLICE), limits)
    assert raised.value.outcome == "matches"


def test_it_gives_up_where_the_rule_fails_too_often() -> None:
    reply = run_each(Fake({1, 2, 3}), _batch(2 * SLICE), Limits(failures=2))
    assert not reply.complete
    assert {failure.row for failure in reply.failures} == {1, 2, 3}


def test_where_a_piece_missed_something_so_did_the_batch() -> None:
    rule = Fake({SLICE})

    def run(batch: pa.RecordBatch) -> BatchReply:
        reply = rule(batch)
        return BatchReply((), (), "x", missed=True) if SLICE + 2 in batch["n"].to_pylist() else reply

    assert run_each(run, _batch(3 * SLICE), Limits()) == BatchReply((), (), "xxx", missed=True)


def test_a_sieve_may_match_as_often_as_it_likes() -> None:
    reply = run_each(Fake({1}), _batch(30), Limits(matches=1), sieve=True)
    assert ([match.row for match in reply.matches], [one.row for one in reply.failures]) == ([*range(0, 30, 3)], [1])


@pytest.fixture
def pool(process_backend: ProcessBackend) -> Iterator[Pool]:
    with closing(Pool(process_backend)) as pool:
        yield pool


@pytest.mark.parametrize(
    ("poison", "outcome"),
    [
        ("import os; os._exit(3)", "crashed"),
        ("import faulthandler; faulthandler._sigsegv()", "crashed"),
        ("x = [bytearray(10**7) for _ in range(100)]", "memory"),
        ("sum(range(10**12))", "timeout"),
        ("while True: pass", "timeout"),
        ("from trapline_sandbox.main import os; [os.write(fd, b'no frame') for fd in (3, 4, 5, 6)]", "protocol"),
        ("raise SystemExit", "raised"),
    ],
)
def test_real_poison_in_a_real_worker(
    pool: Pool, process_backend: ProcessBackend, build_of: Callable[..., Build], poison: str, outcome: str
) -> None:
    guarded = poison.replace("os.write(fd, b'no frame')", "_say(fd)")
    helper = "import os\ndef _say(fd):\n    try: os.write(fd, b'no frame')\n    except OSError: pass\n"
    build = build_of(
        f"{helper}def detect(r):\n    if r['n'] == 700:\n        {guarded}\n    return r['n'] % 100 == 0\n"
    )
    process_backend.build(build)
    limits = replace(Limits(), memory_bytes=200 * 2**20, record_seconds=0.5)

    def run(batch: pa.RecordBatch) -> BatchReply:
        with pool.worker(build.digest, Rule("demo", "detect.py", "record"), limits) as worker:
            return worker.run(batch)

    reply = run_each(run, _batch(1500), limits)
    (failure,) = reply.failures
    assert (failure.row, failure.outcome) == (700, outcome)
    assert [match.row for match in reply.matches] == [n for n in range(0, 1500, 100) if n != 700]
    process_backend.remove([build.digest])
