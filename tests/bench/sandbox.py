"""What a sandbox costs in time: the start of a worker, the way of a batch through a warm one, and a whole scan."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
import pyarrow as pa

from tests.bench.ground import BASE_IMAGE
from tests.bench.lake import Lake
from tests.bench.measure import Result, Way, timed
from tests.bench.sandboxes import InProcess, Sandbox, bytes_of, frozen, interpreter, read, sandboxes, two_columns
from trapline.workers.backends import layout
from trapline.workers.interface import Limits, Worker

_BATCH = 1_000
_SCAN = 200_000


def measure_start(*, quick: bool) -> Result:
    """From nothing to the verdict on one record, against an interpreter and a container that do nothing."""
    runs = 2 if quick else 20
    with _folder() as folder, sandboxes(folder) as (there, missing), ExitStack() as ends:
        [one] = read(Lake.fill(folder, 1))
        baselines = [Way(what="python3 -c pass, no worker", work=_start_python, letter="A")]
        if any(sandbox.name == "docker" for sandbox in there):
            start_container = _start_container(ends)
            baselines.append(Way(what="docker run python3 -c pass, no worker", work=start_container, letter="B"))
        starters = [ends.enter_context(_starter(sandbox, one)) for sandbox in there]
        ways = [
            Way(what=starter.sandbox.name, work=starter.start, before=starter.end, against=_against(starter.sandbox))
            for starter in starters
        ]
        result = timed([*baselines, *ways], runs=runs)
    note = "A worker is started, loads the rule, and gives its verdict on one record."
    return Result("A cold start, to the first verdict", "", result, note, missing=missing)


def measure_batch(*, quick: bool) -> Result:
    """1,000 records there and their verdicts back, through a warm worker of each backend."""
    runs = 5 if quick else 200
    with _folder() as folder, sandboxes(folder) as (there, missing), ExitStack() as ends:
        [batch] = read(Lake.fill(folder, _BATCH))
        inside = InProcess(folder)
        workers = _warm(there, ends)
        ways = [
            Way(what="the same runtime in this process", work=lambda: inside.run(batch), letter="A"),
            *(Way(what=name, work=partial(worker.run, batch), against="A") for name, worker in workers.items()),
        ]
        ends.enter_context(frozen())
        result = timed(ways, runs=runs)
    note = f"{bytes_of([batch]):,} bytes there. The rule reads two of the 34 columns."
    return Result(f"A batch of {_BATCH:,} records through a warm worker", "", result, note, missing=missing)


def measure_scan(*, quick: bool) -> Result:
    """200,000 records through a warm worker of each backend: all columns, and those alone that the rule reads."""
    count, runs = (20_000, 1) if quick else (_SCAN, 9)
    with _folder() as folder, sandboxes(folder) as (there, missing), ExitStack() as ends:
        whole = read(Lake.fill(folder, count))
        parts = [two_columns(batch) for batch in whole]
        inside = InProcess(folder)
        workers = _warm(there, ends)
        wanted = sum(map(inside.run, whole))
        for worker in workers.values():
            assert _matches(worker, whole) == _matches(worker, parts) == wanted > 0
        ways = [
            _scan("this process, all columns", count, lambda: [inside.run(batch) for batch in whole], letter="A"),
            _scan("this process, two columns", count, lambda: [inside.run(batch) for batch in parts], letter="B"),
        ]
        for letter, (name, worker) in zip("CDE", workers.items(), strict=False):
            ways += [
                _scan(f"{name}, two columns", count, partial(_matches, worker, parts), letter=letter, against="B"),
                _scan(f"{name}, all columns", count, partial(_matches, worker, whole), against=f"A{letter}"),
            ]
        ends.enter_context(frozen())
        result = timed(ways, runs=runs)
    sizes = f"{bytes_of(whole) / 1e6:,.0f} MB to a worker, {bytes_of(parts) / 1e6:,.0f} MB of them the two columns"
    note = f"{sizes}. The aim is 0.87 × A with Docker: 1.15 times as long."
    return Result(f"A scan through a warm worker ({count:,} records)", "records", result, note, missing=missing)


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="trapline-bench-") as name:
        yield Path(name)


@dataclass(slots=True)
class _Starter:
    """Starts workers, one at a time; ending them is not timed."""

    sandbox: Sandbox
    batch: pa.RecordBatch
    running: list[Worker] = field(default_factory=list)

    def start(self) -> None:
        self.running.append(self.sandbox.start(Limits()))
        self.running[0].run(self.batch)

    def end(self) -> None:
        while self.running:
            self.running.pop().close()


@contextmanager
def _starter(sandbox: Sandbox, batch: pa.RecordBatch) -> Iterator[_Starter]:
    starter = _Starter(sandbox, batch)
    try:
        yield starter
    finally:
        starter.end()


def _against(sandbox: Sandbox) -> str:
    return "AB" if sandbox.name == "docker" else "A"


def _start_python() -> None:
    subprocess.run(interpreter("pass"), check=True, stdin=subprocess.DEVNULL)


def _start_container(ends: ExitStack) -> Callable[[], object]:
    client = docker.from_env()
    ends.callback(client.close)
    command = ["python3", *layout.FLAGS, "-c", "pass"]
    return lambda: client.containers.run(BASE_IMAGE, command, network_mode="none", remove=True)


def _warm(there: Sequence[Sandbox], ends: ExitStack) -> dict[str, Worker]:
    workers = {}
    for sandbox in there:
        workers[sandbox.name] = worker = sandbox.start()
        ends.callback(worker.close)
    return workers


def _matches(worker: Worker, batches: Sequence[pa.RecordBatch]) -> int:
    return sum(len(worker.run(batch).matches) for batch in batches)


def _scan(what: str, count: int, work: Callable[[], object], *, letter: str = "", against: str = "") -> Way:
    return Way(what=what, count=count, work=work, letter=letter, against=against)
