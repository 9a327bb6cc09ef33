"""The sandboxes that work here, each with the same rule built in it, and the same runtime without any sandbox."""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tests.bench.ground import BASE_IMAGE, need_docker
from tests.bench.lake import Lake
from tests.bench.measure import Skipped
from tests.bench.rules import TWO_FIELDS
from trapline.query.engine import ScanRequest
from trapline.workers import wire
from trapline.workers.backends import layout
from trapline.workers.backends.bubblewrap import BubblewrapBackend
from trapline.workers.backends.docker import SCOPE, DockerBackend
from trapline.workers.backends.owner import Owner
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Backend, BackendUnavailable, Build, BuildDigest, Limits, Rule, Worker
from trapline_sandbox import rule as runtime
from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import PREFIX_BYTES
from trapline_sandbox.watch import Watch

ROOMY = Limits(batch_seconds=600, memory_bytes=4 * 2**30)  # so that no limit is what is measured
_DIGEST = BuildDigest(hashlib.sha256(TWO_FIELDS.encode()).hexdigest())
_RULE = Rule("bench", "detect.py", "record")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A backend with the rule of two fields built; `label` is on all that it makes on a Docker engine."""

    backend: Backend
    label: str

    @property
    def name(self) -> str:
        return self.backend.name

    def start(self, limits: Limits = ROOMY) -> Worker:
        return self.backend.start(_DIGEST, _RULE, limits)


@contextmanager
def sandboxes(folder: Path) -> Iterator[tuple[Sequence[Sandbox], Sequence[str]]]:
    """The sandboxes that work here, and why the others do not; their builds go at the end."""
    owner, scope = Owner(folder / "run"), f"bench-{uuid.uuid4().hex[:12]}"
    ways: dict[str, Callable[[], Backend]] = {
        "process": lambda: ProcessBackend(folder / "process", owner),
        "bubblewrap": lambda: BubblewrapBackend(folder / "bubblewrap", owner),
        "docker": lambda: _docker(scope, owner),
    }
    there, missing = [], []
    try:
        for name, way in ways.items():
            try:
                there.append(Sandbox(way(), f"{SCOPE}={scope}"))
            except (BackendUnavailable, Skipped) as reason:
                missing.append(f"{name}: {reason}")
        for one in there:
            one.backend.build(Build(_DIGEST, _RULE.detection, {_RULE.script: (TWO_FIELDS.encode(), False)}, None))
        yield there, missing
    finally:
        for one in there:
            one.backend.remove([_DIGEST])
            one.backend.close()


def _docker(scope: str, owner: Owner) -> Backend:
    need_docker()
    return DockerBackend(BASE_IMAGE, scope=scope, owner=owner)


class InProcess:
    """The runtime in this process, on the frames that a worker would get: all of its work, and no way to a worker."""

    def __init__(self, folder: Path) -> None:
        (folder / _RULE.script).write_text(TWO_FIELDS)
        watch = Watch(ROOMY.record_seconds, ROOMY.batch_seconds)
        self._rule = runtime.Rule(folder, _RULE.script, _RULE.mode, watch=watch)

    def run(self, batch: pa.RecordBatch) -> int:
        """How many records match."""
        head, *buffers = wire.batch_frame(batch, 1)
        fields = Fields(json.loads(head[PREFIX_BYTES:].tobytes())["batch"], buffers)
        verdicts = self._rule.run(fields, max_matches=ROOMY.matches, max_failures=ROOMY.failures)
        del fields
        gc.collect()  # as a worker does after each batch, and with as little to look at
        return len(verdicts.matches)


@contextmanager
def frozen() -> Iterator[None]:
    """Nothing that is there by now is looked at by the garbage collector, as nothing is in a worker."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def read(lake: Lake) -> list[pa.RecordBatch]:
    """All records, in the batches of a scan."""
    with lake.engine.scan(ScanRequest("events", lake.window(lake.count))) as scan:
        return [batch.records for batch in scan.batches()]


def two_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without the columns that the rule does not read."""
    return pa.record_batch(
        {
            path[0]: _column(batch, path)
            for path in (("event", "action"), ("aws", "cloudtrail", "user_identity", "type"))
        }
    )


def _column(batch: pa.RecordBatch, path: Sequence[str]) -> pa.Array:
    array = batch.column(path[0])
    for name in path[1:]:
        array = array.field(name)
    for name in reversed(path[1:]):
        array = pa.StructArray.from_arrays([array], [name])
    return array


def bytes_of(batches: Sequence[pa.RecordBatch]) -> int:
    """How much goes to a worker."""
    return sum(len(part) for batch in batches for part in wire.batch_frame(batch, 1))


def interpreter(code: str) -> list[str]:
    """A command: this machine's Python, started as a worker is, to do only this."""
    return [str(Path(sys.executable).resolve()), *layout.FLAGS, "-c", code]
