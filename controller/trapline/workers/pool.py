"""Warm workers: started once for each deployment, and used again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from trapline.workers.interface import Backend, BuildDigest, Limits, Rule, Worker

_Key = tuple[BuildDigest, Rule, Limits]


class Pool:
    """Lends workers, each to one borrower at a time. Thread-safe.

    `limit` and `memory_bytes` bound the idle ones that are kept, by their number and by what they say they use.
    """

    def __init__(self, backend: Backend, *, limit: int = 256, memory_bytes: int = 4 * 2**30) -> None:
        self._backend = backend
        self._limit = limit
        self._memory = memory_bytes
        self._lock = Lock()
        self._idle: list[tuple[_Key, Worker]] = []  # the longest unused first
        self._forgotten: set[BuildDigest] = set()
        self._closed = False

    @contextmanager
    def worker(self, digest: BuildDigest, rule: Rule, limits: Limits) -> Iterator[Worker]:
        """A worker with the rule loaded; a warm one where there is one. A dead one is never lent, nor taken back."""
        key = (digest, rule, limits)
        worker = self._take(key)
        while worker is not None and not worker.alive:  # it died while nobody used it
            worker.close()
            worker = self._take(key)
        worker = worker or self._backend.start(digest, rule, limits)
        try:
            yield worker
        except BaseException:
            worker.close()  # whoever failed, what the worker would answer next is anyone's guess
            raise
        self._give_back(key, worker)

    def warm(self, digest: BuildDigest, rule: Rule, limits: Limits) -> None:
        """Starts a worker where none is idle, for who will ask soon. Raises WorkerError."""
        with self.worker(digest, rule, limits):
            pass

    def forget(self, digests: Iterable[BuildDigest]) -> None:
        """Ends the idle workers of retired builds, and those on loan when they come back."""
        retired = set(digests)
        with self._lock:
            self._forgotten |= retired
            ended = [worker for key, worker in self._idle if key[0] in retired]
            self._idle = [item for item in self._idle if item[0][0] not in retired]
        _close(ended)

    def close(self) -> None:
        """Ends all idle workers; those on loan end when they come back."""
        with self._lock:
            self._closed = True
            ended = [worker for _, worker in self._idle]
            self._idle = []
        _close(ended)

    def _take(self, key: _Key) -> Worker | None:
        with self._lock:
            self._forgotten.discard(key[0])  # asked for again, so no longer retired
            # Whoever holds the same rule to other limits is of a version that is no more.
            ended = [item for item in self._idle if item[0][:2] == key[:2] and item[0] != key]
            self._idle = [item for item in self._idle if item not in ended]
            found = next((index for index in reversed(range(len(self._idle))) if self._idle[index][0] == key), None)
            worker = None if found is None else self._idle.pop(found)[1]
        _close(old for _, old in ended)
        return worker

    def _give_back(self, key: _Key, worker: Worker) -> None:
        fit = worker.alive and not worker.worn
        with self._lock:
            kept = fit and not self._closed and key[0] not in self._forgotten
            if kept:
                self._idle.append((key, worker))
            ended = self._surplus()
        _close([*([] if kept else [worker]), *ended])

    def _surplus(self) -> list[Worker]:
        """Takes out the longest unused, until the others are within the bounds."""
        ended = []
        used = sum(worker.memory_bytes for _, worker in self._idle)
        while self._idle and (len(self._idle) > self._limit or used > self._memory):
            ended.append(self._idle.pop(0)[1])
            used -= ended[-1].memory_bytes
        return ended


def _close(workers: Iterable[Worker]) -> None:
    for worker in workers:
        worker.close()
