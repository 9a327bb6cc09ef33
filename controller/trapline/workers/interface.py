"""The seam between the controller and the sandbox: what a backend is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NewType, Protocol

import pyarrow as pa

from trapline.errors import TraplineError

BuildDigest = NewType("BuildDigest", str)

Seal = NewType("Seal", str)
"""What a build looks like to its backend: the same for as long as nobody touches the build, whatever runs in it."""


class WorkerError(TraplineError):
    """A worker could not do its job as a whole. `outcome` is one of the names in docs/reference/limits.md.

    `file` and `line` say where in the detection's own files it was, where that is known; `log` is what it printed.
    """

    def __init__(
        self, outcome: str, message: str, *, remedy: str = "", file: str = "", line: int = 0, log: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.outcome = outcome
        self.file = file
        self.line = line
        self.log = log
        self.starting = False
        """Whether it was raised before the worker had been asked anything, so that no record can be to blame."""


class BackendUnavailable(TraplineError):
    """This backend cannot work on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use; what happens beyond each is in docs/reference/limits.md."""

    memory_bytes: int = 512 * 1024 * 1024
    batch_seconds: float = 60.0
    record_seconds: float = 5.0
    start_seconds: float = 30.0
    pids: int = 64
    cpus: float = 1.0
    reply_bytes: int = 64 * 1024 * 1024
    log_bytes: int = 64 * 1024
    matches: int = 10_000
    failures: int = 100


@dataclass(frozen=True, slots=True)
class Build:
    """What a backend needs to make one detection runnable. `requirements` is a folder of installed packages."""

    digest: BuildDigest
    detection: str
    files: Mapping[str, tuple[bytes, bool]]  # relative path -> content, executable
    requirements: Path | None


@dataclass(frozen=True, slots=True)
class Rule:
    """How a worker calls the script."""

    detection: str
    script: str
    mode: str  # "record" or "batch"
    coverage: bool = False  # whether its replies say which lines of the detection's own files ran; slower


@dataclass(frozen=True, slots=True)
class Sieve:
    """Asks only which rows `detect` matches or fails on, of a batch that need not hold all that there is.

    `schema` is the whole table's: the batch may lack columns of it, and its structs may lack fields. A struct whose
    Arrow field has the metadata `presence: unknown` does not tell by its nulls where it is null; what is inside it is
    right all the same.
    """

    schema: pa.Schema


PRESENCE_UNKNOWN: Mapping[bytes, bytes] = {b"presence": b"unknown"}
"""The metadata of a struct that was read without its own nulls."""


@dataclass(frozen=True, slots=True)
class MatchReply:
    """What a rule said about one match. A field is None where the rule defines no such function.

    `row` is the record's row in the batch, always inside it; None only in batch mode, for a match that names no record.
    """

    row: int | None
    title: str | None = None
    dedupe: str | None = None
    severity: str | None = None
    destinations: tuple[str, ...] | None = None
    description: str | None = None
    runbook: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FailureReply:
    """A record on which the rule failed, at `line` of the detection's own file `file`.

    `function` and `file` are empty, and `line` is 0, where they are not known.

    `row` is None where it concerns no single record. A failure outside `detect` loses only that function's answer: the
    match itself is reported. `outcome` is `raised`, or the limit that the record exceeded.
    """

    row: int | None
    function: str
    error: str
    file: str
    line: int
    outcome: str = "raised"


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file that hold code: those that `ran`, since the worker began, and those `missing`."""

    ran: frozenset[int]
    missing: frozenset[int]


@dataclass(frozen=True, slots=True)
class BatchReply:
    """The verdicts on one batch: in row order, or in batch mode in the order the rule yielded them.

    Not `complete` where the rule failed on so many records that the worker gave up. Of a sieve run, matches and
    failures have a row and nothing else; where the rule `missed` something that the batch does not hold, there are
    none.
    """

    matches: tuple[MatchReply, ...]
    failures: tuple[FailureReply, ...]
    log: str
    complete: bool = True
    missed: bool = False
    coverage: Mapping[str, Lines] = field(default_factory=dict)


NO_MOCKS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a script: lines from 1, columns in characters from 0, the last one behind its end."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class ProbedValue:
    """What an expression of `detect` came to, in Python's words; None where it was not gone through.

    Of one that was gone through several `times`, it is the last.
    """

    span: Span
    value: str | None
    times: int


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """What `detect` said of one record, and the values of its expressions on the way; none where it is not written as
    one plain function. `returned` is the line of the `return` that it took, 0 where it took none.

    Where it failed there is no answer; `raised` is the expression that did, where that is known.
    """

    answer: str | None
    returned: int
    values: tuple[ProbedValue, ...]
    failure: FailureReply | None
    raised: Span | None
    log: str


class Worker(Protocol):
    """One running sandbox with one detection's rule loaded in it. Not thread-safe."""

    @property
    def alive(self) -> bool: ...

    @property
    def memory_bytes(self) -> int:
        """How much memory it said it used after its last batch; only its limit can be relied on."""
        ...

    @property
    def worn(self) -> bool:
        """Whether a fresh one should take its place: it ran many batches, has grown, or left threads running."""
        ...

    def run(
        self, batch: pa.RecordBatch, *, sieve: Sieve | None = None, mocks: Mapping[str, Any] = NO_MOCKS
    ) -> BatchReply:
        """Runs the rule over one batch. Raises WorkerError, after which the worker is dead.

        With a `sieve`, which only rules of one record at a time take, `detect` alone is called. With `mocks`, each call
        of a function that is named there, as the script does, answers the JSON value that stands beside the name.
        """
        ...

    def probe(self, batch: pa.RecordBatch) -> ProbeReply:
        """Runs `detect` over the one record of a batch and tells what its expressions come to.

        Raises WorkerError, after which the worker is dead.
        """
        ...

    def close(self) -> None:
        """Ends the worker and all it started; safe to call twice."""
        ...


class Backend(Protocol):
    """A way to isolate detections. Actual state is asked of the engine, never remembered."""

    name: str

    def describe(self) -> str:
        """One line for people: which isolation this is."""
        ...

    def platform(self) -> str:
        """What builds depend on besides their own input: base image or interpreter, machine, Python. Digest input."""
        ...

    def python(self) -> tuple[str, str]:
        """The Python version (`3.11`) and the uv platform (`x86_64-unknown-linux-gnu`) that requirements are for."""
        ...

    def built(self) -> Mapping[BuildDigest, Seal]:
        """Every build that is there, with its seal; cheap enough to be asked at each reconcile.

        A seal other than the one that `build` returned says that the build was altered: remove it and build again.
        """
        ...

    def build(self, build: Build) -> Seal:
        """Makes the build ready; atomic, and a no-op where it is there already."""
        ...

    def start(self, digest: BuildDigest, rule: Rule, limits: Limits) -> Worker:
        """Starts a worker and loads the rule. Raises WorkerError where the script cannot be imported."""
        ...

    def remove(self, digests: Iterable[BuildDigest]) -> None:
        """Removes builds, ours only; those that are gone already are no error."""
        ...

    def close(self) -> None:
        """Lets go of what the backend itself holds; its workers have ended by then. Safe to call twice."""
        ...
