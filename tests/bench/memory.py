"""What a sandbox costs in memory: one warm worker, and many, as the kernel counts them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from os import getpid
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import docker
import pyarrow as pa

from tests.bench.measure import Sizes, Skipped
from tests.bench.records import Lake
from tests.bench.sandboxes import Sandbox, interpreter, read, sandboxes
from trapline_sandbox.frames import KEPT_SECONDS

_FEW, _MANY = 1_000, 65_536
_REST = KEPT_SECONDS + 0.5
_COLUMNS = ("RSS of one", "at its peak", "at rest again", "PSS of {workers}", "of each", "beside each")


@dataclass(frozen=True, slots=True)
class _Family:
    """A worker's process, and those that are there for its sake alone."""

    worker: int
    keepers: Sequence[int] = ()


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
        rss = _memory(python.pid, "Rss")
        python.communicate(b"\n")
    return [rss, None, None, None, None, None]


def _of_one(sandbox: Sandbox, large: pa.RecordBatch) -> Sequence[int]:
    """After a small batch; the most that it ever was, which a large one took; and when that one is over."""
    with closing(sandbox.start()) as worker:
        worker.run(large.slice(0, _FEW))
        sleep(_REST)
        [family] = _families(sandbox)
        small = _memory(family.worker, "Rss")
        worker.run(large)
        peak = int(_field(Path(f"/proc/{family.worker}/status"), "VmHWM")) * 1024
        sleep(_REST)
        return [small, peak, _memory(family.worker, "Rss")]


def _of_many(sandbox: Sandbox, large: pa.RecordBatch, count: int) -> Sequence[int]:
    """All of them, each of them, and what is beside each of them for its sake."""
    with ExitStack() as ends:
        for _ in range(count):
            worker = sandbox.start()
            ends.callback(worker.close)
            worker.run(large.slice(0, _FEW))
        sleep(_REST)
        families = _families(sandbox)
        assert len(families) == count, f"{len(families)} workers, where {count} were started"
        workers = sum(_memory(family.worker, "Pss") for family in families)
        keepers = sum(_memory(keeper, "Pss") for family in families for keeper in family.keepers)
    return [workers, workers // count, keepers // count]


def _families(sandbox: Sandbox) -> list[_Family]:
    """The workers that run, of this sandbox alone."""
    look: dict[str, Callable[[], list[_Family]]] = {"docker": lambda: _containers(sandbox.label)}
    return look.get(sandbox.name, _processes)()


def _processes() -> list[_Family]:
    """The children of this process. What bubblewrap starts is a child of its child, and the worker a child of that."""
    lines = [_line(child) for child in _children(getpid())]
    return [_Family(line[-1], line[:-1]) for line in lines]


def _line(pid: int) -> list[int]:
    children = _children(pid)
    return [pid, *_line(children[0])] if children else [pid]


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _containers(label: str) -> list[_Family]:
    """The first process of each container, and the one of the engine's that holds it."""
    client = docker.from_env()
    try:
        found = [client.api.inspect_container(one["Id"]) for one in client.api.containers(filters={"label": label})]
    finally:
        client.close()
    families = []
    for one in found:
        pid = int(one["State"]["Pid"])
        if one["Id"] not in Path(f"/proc/{pid}/cgroup").read_text():
            raise Skipped("the engine's processes are not this machine's, so the kernel here cannot tell their memory")
        families.append(_Family(pid, [int(_field(Path(f"/proc/{pid}/status"), "PPid"))]))
    return families


def _memory(pid: int, kind: str) -> int:
    return int(_field(Path(f"/proc/{pid}/smaps_rollup"), kind)) * 1024


def _field(path: Path, name: str) -> str:
    found = re.search(rf"^{name}:\s*(\d+)", path.read_text(), re.MULTILINE)
    assert found, f"{path} has no {name}"
    return found[1]
