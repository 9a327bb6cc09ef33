"""What a sandbox costs in memory: one warm worker, and many, as the kernel counts them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import pyarrow as pa

from tests.bench.kernel import children, families, memory, peak
from tests.bench.lake import Lake
from tests.bench.measure import Sizes, Skipped
from tests.bench.sandboxes import Sandbox, interpreter, read, sandboxes
from trapline_sandbox.frames import KEPT_SECONDS

_FEW, _MANY = 1_000, 65_536
_REST = KEPT_SECONDS + 0.5
_COLUMNS = ("RSS of one", "at its peak", "at rest again", "PSS of {workers}", "of each", "beside each")


def measure(*, quick: bool) -> Sizes:
    """A worker that ran a batch, one that ran a large one as well, and a hundred that ran a batch each."""
    many, workers = (20_000, 2) if quick else (_MANY, 100)
    with TemporaryDirectory(prefix="trapline-bench-") as name, sandboxes(Path(name)) as (there, missing):
        large = read(Lake.fill(Path(name), many))[0]
        rows: list[tuple[str, Sequence[int | None]]] = [("python3, no worker", _of_python())]
        problems = list(missing)
        for sandbox in there:
            try:
                rows.append((sandbox.name, [*_of_one(sandbox, large), *_of_many(sandbox, large, workers)]))
            except (Skipped, OSError) as error:
                problems.append(f"{sandbox.name}: {error}")
    columns = [column.format(workers=workers) for column in _COLUMNS]
    note = (
        f"The peak is of {many:,} records at once. RSS counts all that a process sees, PSS divides what several "
        "share. The aim is 40 MB for one."
    )
    return Sizes(f"Memory of warm workers, after {_FEW:,} records", columns, rows, note, problems)


def _of_python() -> Sequence[int | None]:
    python = subprocess.Popen(interpreter("print(flush=True); input()"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with python:
        assert python.stdout
        python.stdout.readline()
        rss = memory(python.pid, "Rss")
        python.communicate(b"\n")
    return [rss, None, None, None, None, None]


def _of_one(sandbox: Sandbox, large: pa.RecordBatch) -> Sequence[int]:
    """After a small batch; the most that it ever was, which a large one took; and when that one is over."""
    before = children()
    with closing(sandbox.start()) as worker:
        worker.run(large.slice(0, _FEW))
        sleep(_REST)
        [family] = families(sandbox.name, sandbox.label, before)
        small = memory(family.worker, "Rss")
        worker.run(large)
        most = peak(family.worker)
        sleep(_REST)
        return [small, most, memory(family.worker, "Rss")]


def _of_many(sandbox: Sandbox, large: pa.RecordBatch, count: int) -> Sequence[int]:
    """All of them, each of them, and what is beside each of them for its sake."""
    before = children()
    with ExitStack() as ends:
        for _ in range(count):
            worker = sandbox.start()
            ends.callback(worker.close)
            worker.run(large.slice(0, _FEW))
        sleep(_REST)
        there = families(sandbox.name, sandbox.label, before)
        assert len(there) == count, f"{len(there)} workers, where {count} were started"
        workers = sum(memory(family.worker, "Pss") for family in there)
        keepers = sum(memory(keeper, "Pss") for family in there for keeper in family.keepers)
    return [workers, workers // count, keepers // count]
