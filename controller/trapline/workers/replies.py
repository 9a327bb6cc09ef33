"""What a worker answers, checked: whatever comes out of a sandbox is hostile until it has passed here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, StringConstraints, TypeAdapter, ValidationError

from trapline.config.limits import MOST_MATCHES
from trapline.workers.interface import (
    BatchReply,
    FailureReply,
    Limits,
    Lines,
    MatchReply,
    ProbedValue,
    ProbeReply,
    Span,
    WorkerError,
)

MOST_ROWS = 2**20
"""The rows that a batch of a sieve run may have."""

MOST_VALUES = 300
"""The expressions that a probe may tell of."""

MOST_FILES = 1_000
"""The files of a detection that are told of by their lines."""

Short = Annotated[str, StringConstraints(max_length=1_000)]
Prose = Annotated[str, StringConstraints(max_length=20_000)]
Row = Annotated[int, Field(ge=0, le=2**31 - 1)]
Rows = Annotated[list[Row], Field(max_length=MOST_ROWS), FailFast()]
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]
CONTEXT_LIMIT = 128 * 1024  # the worker keeps to half of that, counted a little differently


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Match(_Part):
    row: Row | None
    title: Short | None = None
    dedupe: Short | None = None
    severity: Short | None = None
    destinations: Annotated[list[Short], Field(max_length=1_000)] | None = None
    description: Prose | None = None
    runbook: Prose | None = None
    context: dict[str, Any] = {}


class _Failure(_Part):
    row: Row | None
    function: Short
    error: Short
    file: Short
    line: Row
    outcome: Literal["raised", "timeout", "pids"]


class _Lines(_Part):
    ran: Rows
    missing: Rows


class Result(_Part):
    """The verdicts on one batch."""

    type: Literal["result"]
    seq: int
    # The first that is wrong is enough: to list them all takes minutes, and gigabytes.
    matches: Annotated[list[_Match], Field(max_length=MOST_MATCHES), FailFast()]
    failures: Annotated[list[_Failure], Field(max_length=MOST_MATCHES), FailFast()]
    complete: bool
    memory: Bytes
    log: str
    coverage: Annotated[dict[Short, _Lines], Field(max_length=MOST_FILES)] = {}


class Sifted(_Part):
    """The rows of one batch on which `detect` matched or failed."""

    type: Literal["sifted"]
    seq: int
    matches: Rows
    failures: Rows
    complete: bool
    missed: bool
    memory: Bytes
    log: str


class _Span(_Part):
    line: Row
    column: Row
    end_line: Row
    end_column: Row


class _Value(_Span):
    value: Short | None
    times: Bytes


class Probed(_Part):
    """What the expressions of `detect` came to on one record."""

    type: Literal["probed"]
    seq: int
    answer: Short | None
    returned: Row
    values: Annotated[list[_Value], Field(max_length=MOST_VALUES), FailFast()]
    failure: _Failure | None
    raised: _Span | None
    memory: Bytes
    log: str


class Ready(_Part):
    """The rule is loaded."""

    type: Literal["ready"]
    python: Short
    functions: Annotated[list[Short], Field(max_length=100), FailFast()]


class Refusal(_Part):
    """The worker gives up: the rule cannot be loaded, or it says more than it may."""

    type: Literal["error"]
    outcome: Literal["import", "output", "matches"]
    error: Short
    file: Short
    line: Row
    log: str


Reply = Ready | Result | Sifted | Probed | Refusal
_REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="type")])


def parse(text: bytes) -> Reply:
    """One reply out of its JSON text. Raises WorkerError("protocol")."""
    try:
        return _REPLY.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise protocol_error(f"{place}: {first['msg']}") from error
    except ValueError as error:
        raise protocol_error(str(error)) from error


def verdicts(result: Result, *, seq: int, rows: int, each_once: bool, limits: Limits) -> BatchReply:
    """The verdicts on a batch of so many rows. Raises WorkerError("protocol") where they cannot be about it, or are
    beyond the limits, which a worker of ours would not send.
    """
    _check_bounds(result, seq=seq, limits=limits)
    if len(result.matches) > limits.matches:
        raise protocol_error(f"{len(result.matches)} matches, where {limits.matches} are the most")
    named = [match.row for match in result.matches if match.row is not None]
    _check_rows((*named, *(failure.row for failure in result.failures if failure.row is not None)), rows)
    if each_once and (len(set(named)) != len(result.matches)):
        raise protocol_error("a row that matches twice, or a match without a row")
    for match in result.matches:
        if match.context and _size(match.context) > CONTEXT_LIMIT:
            raise protocol_error(f"a context larger than {CONTEXT_LIMIT} bytes")
    return BatchReply(
        matches=tuple(_match(match) for match in result.matches),
        failures=tuple(_failure(failure) for failure in result.failures),
        log=result.log,
        complete=result.complete,
        coverage={file: Lines(frozenset(one.ran), frozenset(one.missing)) for file, one in result.coverage.items()},
    )


def sifted(result: Sifted, *, seq: int, rows: int, limits: Limits) -> BatchReply:
    """What a sieve run found in a batch of so many rows. Raises WorkerError("protocol"), as `verdicts` does."""
    _check_bounds(result, seq=seq, limits=limits)
    named = result.matches + result.failures
    _check_rows(named, rows)
    if len(set(named)) != len(named):
        raise protocol_error("a row that is there twice")
    if result.missed and (named or not result.complete):
        raise protocol_error("rows of a run that missed something")
    return BatchReply(
        matches=tuple(map(MatchReply, result.matches)),
        failures=tuple(FailureReply(row, "detect", "", "", 0) for row in result.failures),
        log=result.log,
        complete=result.complete,
        missed=result.missed,
    )


def probed(result: Probed, *, seq: int, limits: Limits) -> ProbeReply:
    """What a probe found in its record. Raises WorkerError("protocol"), as `verdicts` does."""
    _check_said(result, seq=seq, limits=limits)
    return ProbeReply(
        answer=result.answer,
        returned=result.returned,
        values=tuple(ProbedValue(_span(one), one.value, one.times) for one in result.values),
        failure=None if result.failure is None else _failure(result.failure),
        raised=None if result.raised is None else _span(result.raised),
        log=result.log,
    )


def _check_bounds(result: Result | Sifted, *, seq: int, limits: Limits) -> None:
    _check_said(result, seq=seq, limits=limits)
    _check_count("failures", len(result.failures), limits.failures + 1)
    if not result.complete and len(result.failures) <= limits.failures:
        raise protocol_error("it gave up, and has no reason to")


def _check_said(result: Result | Sifted | Probed, *, seq: int, limits: Limits) -> None:
    if result.seq != seq:
        raise protocol_error(f"a reply to batch {result.seq}, where batch {seq} was asked about")
    _check_count("characters of log", len(result.log), limits.log_bytes + 100)  # and how many more there were


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise protocol_error(f"{count} {what}, where {most} are the most")


def _check_rows(named: Sequence[int], rows: int) -> None:
    if named and max(named) >= rows:
        raise protocol_error(f"row {max(named)} of a batch of {rows}")


def protocol_error(what: str) -> WorkerError:
    """The error for an answer that no worker of ours gives."""
    return WorkerError(
        "protocol",
        f"the worker's answer is not one of ours: {what}",
        remedy="something in the detection or its requirements tampers with the worker; read both before it runs again",
    )


def _size(context: dict[str, Any]) -> int:
    """The bytes of a context as JSON; what a parser makes infinite has no form there."""
    try:
        return len(json.dumps(context, allow_nan=False))
    except (ValueError, RecursionError) as error:
        raise protocol_error(f"a context that is no JSON: {error}") from error


def _match(match: _Match) -> MatchReply:
    return MatchReply(
        row=match.row,
        title=match.title,
        dedupe=match.dedupe,
        severity=match.severity,
        destinations=None if match.destinations is None else tuple(match.destinations),
        description=match.description,
        runbook=match.runbook,
        context=match.context,
    )


def _failure(failure: _Failure) -> FailureReply:
    return FailureReply(failure.row, failure.function, failure.error, failure.file, failure.line, failure.outcome)


def _span(span: _Span) -> Span:
    return Span(span.line, span.column, span.end_line, span.end_column)
