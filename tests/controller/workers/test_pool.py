"""The pool, over workers that only count."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pyarrow as pa
import pytest

from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import BatchReply, Build, BuildDigest, Limits, Rule, WorkerError
from trapline.workers.pool import Pool

RULE, LIMITS = Rule("demo", "detect.py", "record"), Limits()
A, B, C = (BuildDigest(name) for name in "abc")


class Counted:
    alive = True
    worn = False
    memory_bytes = 0

    def run(self, batch: pa.RecordBatch) -> BatchReply:
        raise NotImplementedError

    def close(self) -> None:
        self.alive = False


class Counting(ProcessBackend):
    def __init__(self) -> None:
        self.started: list[Counted] = []

    def start(self, *_: Any) -> Any:
        self.started.append(Counted())
        return self.started[-1]


@pytest.fixture
def backend() -> Counting:
    return Counting()


def _use(pool: Pool, digest: BuildDigest, rule: Rule = RULE) -> Any:
    with pool.worker(digest, rule, LIMITS) as worker:
        return worker


def test_a_worker_is_used_again(backend: Counting) -> None:
    pool = Pool(backend)
    assert _use(pool, A) is _use(pool, A)
    assert _use(pool, B) is not _use(pool, A)
    assert _use(pool, A, Rule("demo", "detection.py", "batch")) is not _use(pool, A)
    assert len(backend.started) == 3


def test_two_borrowers_get_two(backend: Counting) -> None:
    pool = Pool(backend)
    with pool.worker(A, RULE, LIMITS) as one, pool.worker(A, RULE, LIMITS) as two:
        assert one is not two
    _use(pool, A)
    assert len(backend.started) == 2


def test_a_dead_one_is_dropped(backend: Counting) -> None:
    pool = Pool(backend)
    _use(pool, A).close()  # as one that dies while nobody uses it
    with pytest.raises(WorkerError), pool.worker(A, RULE, LIMITS):
        raise WorkerError("crashed", "x")
    assert [worker.alive for worker in backend.started] == [False, False]
    assert _use(pool, A).alive


def test_the_longest_unused_goes_first(backend: Counting) -> None:
    pool = Pool(backend, limit=2)
    a, _, _ = _use(pool, A), _use(pool, B), _use(pool, A)
    _use(pool, C)
    assert [worker.alive for worker in backend.started] == [True, False, True]
    assert a.alive


def test_a_worn_one_is_not_kept(backend: Counting) -> None:
    pool = Pool(backend)
    _use(pool, A)
    backend.started[0].worn = True
    assert _use(pool, A) is backend.started[0]  # it was lent before
    assert not backend.started[0].alive
    assert _use(pool, A) is backend.started[1]


def test_what_the_idle_ones_use_is_bounded(backend: Counting) -> None:
    pool = Pool(backend, memory_bytes=10)
    for digest, memory in ((A, 4), (B, 4), (C, 4)):
        with pool.worker(digest, RULE, LIMITS):
            backend.started[-1].memory_bytes = memory
    assert [worker.alive for worker in backend.started] == [False, True, True]


def test_other_limits_end_the_worker_of_the_ones_before(backend: Counting) -> None:
    pool = Pool(backend)
    old, other = _use(pool, A), _use(pool, A, Rule("other", "detect.py", "record"))
    with pool.worker(A, RULE, Limits(memory_bytes=2**20)) as new:
        assert (old.alive, other.alive, new.alive) == (False, True, True)


def test_retired_builds_are_forgotten(backend: Counting) -> None:
    pool = Pool(backend)
    _use(pool, B)
    with pool.worker(A, RULE, LIMITS) as lent:
        _use(pool, A)
        pool.forget([A])
        assert lent.alive
    assert [worker.alive for worker in backend.started] == [True, False, False]
    assert _use(pool, A) is _use(pool, A)  # deployed again


def test_closing_ends_all(backend: Counting) -> None:
    pool = Pool(backend)
    _use(pool, A)
    with pool.worker(B, RULE, LIMITS):
        pool.close()
    assert not any(worker.alive for worker in backend.started)


def test_threads_never_share_one(backend: Counting) -> None:
    pool, barrier, lent = Pool(backend), Barrier(4), []

    def borrow() -> None:
        with pool.worker(A, RULE, LIMITS) as worker:
            barrier.wait(timeout=5)
            lent.append(worker)

    threads = [Thread(target=borrow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(worker) for worker in lent}) == 4


def test_a_worker_that_left_a_thread_running_is_not_used_again(
    process_backend: ProcessBackend, build_of: Callable[..., Build]
) -> None:
    build = build_of(
        "import threading, time\nseen = []\ndef detect(r):\n    seen.append(1)\n    print(len(seen))\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    process_backend.build(build)
    pool = Pool(process_backend)
    for _ in range(2):
        with pool.worker(build.digest, RULE, LIMITS) as worker:
            assert worker.run(pa.RecordBatch.from_pydict({"n": [1]})).log == "1\n"
    pool.close()
    process_backend.remove([build.digest])


def test_with_a_real_worker(process_backend: ProcessBackend, build_of: Callable[..., Build]) -> None:
    build = build_of("count = 0\ndef detect(r):\n    global count\n    count += 1\n    print(count)\n")
    process_backend.build(build)
    pool = Pool(process_backend)
    for expected in ("1\n", "2\n"):
        with pool.worker(build.digest, RULE, LIMITS) as worker:
            assert worker.run(pa.RecordBatch.from_pydict({"n": [1]})).log == expected
    pool.close()
    process_backend.remove([build.digest])
