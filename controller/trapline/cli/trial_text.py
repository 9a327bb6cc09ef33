"""What a trial came to, as people read it: for any terminal, and as lines in a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence, Sized
from datetime import datetime
from typing import Any

from rich.filesize import decimal

from trapline.author.trial.bench import EXAMPLES
from trapline.author.trial.outcome import Trial
from trapline.author.trial.preview import as_delivered, as_text
from trapline.author.trial.sample import Sample
from trapline.author.trial.session import Session
from trapline.author.trial.values import Line, tree
from trapline.cli.output import age, console, counted, moment, say
from trapline.config.units import format_duration
from trapline.detection.model import Mode
from trapline.workers.interface import FailureReply, ProbeReply
from trapline_plugins.text import cut, one_line
from trapline_sandbox.record import jsonable

_FIELDS = 8
_LOG_LINES, _LOG_WIDTH = 20, 500
_RENDERED_LINES = 60
_WIDEST = 120


def print_trial(trial: Trial, now: datetime) -> None:
    """All of it that fits on a page."""
    detection = trial.detection
    said = [counted(len(found), noun) for found, noun in _counts(trial)]
    say(f"{detection.name}: {', '.join(said)}, in {trial.seconds:.2f} s", style="bold")
    for sample in trial.samples:
        _print_sample(sample, now)
    if detection.mode is Mode.BATCH:
        say(f"  the rule saw them in {counted(trial.windows, 'window')} of its schedule")
    if not trial.records:
        say("  there are no records to try it on: ask for another time with --since and --until", style="yellow")
        return
    if quiet := sum(found.suppressed for found in trial.matches):
        say(f"  {counted(quiet, 'match')} suppressed by suppressions.yml")
    elif trial.matches and not trial.alerts:
        alert = detection.config.alert
        say(f"  an alert takes {alert.threshold} matches with one dedupe key within {format_duration(alert.window)}")
    _print_failures(trial)
    _print_matches(trial)
    if trial.alerts:
        _section("the first alert" if len(trial.alerts) > 1 else "the alert")
        _indented(as_text(trial, trial.alerts[0], now).split("\n"))
    _print_near(trial)
    print_log(trial.log)


def print_record(session: Session, number: int) -> None:
    """A record as JSON, and what the rule said of it."""
    trial = session.trial
    assert trial is not None  # whoever has a number has it from a trial
    _section(f"record {number}: {_verdict(trial, number)}")
    _indented(json.dumps(jsonable(trial.record(number)), indent=2, ensure_ascii=False).split("\n"))


def print_probe(trial: Trial, number: int, reply: ProbeReply) -> None:
    """What the expressions of the condition came to on a record, as a tree."""
    script = trial.detection.script
    if reply.failure is not None:
        said = f"it failed: {_failure(reply.failure)}"
    else:
        where = f" at {script}:{reply.returned}" if reply.returned else ""
        said = f"detect answered {cut(one_line(reply.answer or ''), 60)}{where}"
    _section(f"record {number}: {said}")
    if trial.detection.mode is Mode.BATCH:
        say("  the rule was given this record alone")
    lines = tree(trial.detection.files[script].content, reply)
    if not lines:
        say(f"  detect is not written as one plain function in {script}, so that its parts have no values to tell")
    _print_tree(lines)
    print_log(reply.log)


def print_alert(session: Session, now: datetime) -> None:
    """The first alert as each of its destinations gets it."""
    trial = session.trial
    if trial is None or not trial.alerts:
        say("there is no alert to show")
        return
    for shown in as_delivered(trial, trial.alerts[0], session.settings, now):
        _section(f"as {shown.destination} gets it")
        if shown.missing:
            say(f"  it cannot be shown here: {shown.missing}", style="yellow")
        else:
            _indented(_first(shown.text.split("\n"), _RENDERED_LINES))


def print_log(log: str) -> None:
    """The beginning of what the rule printed."""
    if log.strip():
        _section("it printed")
        _indented([f"| {cut(line, _LOG_WIDTH)}" for line in _first(log.rstrip("\n").split("\n"), _LOG_LINES)])


def _print_tree(lines: Sequence[Line]) -> None:
    """The values in a column of their own, as near to the expressions as the longest of these leaves them."""
    width = _width()
    right = min(max((len(one.value) for one in lines), default=0), width // 3)
    most = width - 8 - right
    texts = [f"{'  ' * one.depth}{_fitting(one, most - 2 * one.depth)}" for one in lines]
    left = max(map(len, texts), default=0)
    for one, text in zip(lines, texts, strict=True):
        say(f"{one.line:>4}  {text:<{left}}  {cut(one_line(one.value), width - 8 - left)}")


def _fitting(line: Line, room: int) -> str:
    text = one_line(line.text)
    return text if len(text) <= room else cut(one_line(line.outline), max(room, 8))


def _print_sample(sample: Sample, now: datetime) -> None:
    kind = "all there are" if sample.whole else "a sample"
    read = f"read {age(now - sample.fetched_at)} ago ({decimal(sample.size)})"
    say(f"  {sample.table}: {counted(sample.count, 'record')}, {kind}, {read}")
    say(f"    {moment(sample.window.start)} to {moment(sample.window.end)} UTC")


def _counts(trial: Trial) -> Iterator[tuple[Sized, str]]:
    yield trial.matches, "match"
    yield trial.alerts, "alert"
    yield trial.failures, "failure"


def _print_failures(trial: Trial) -> None:
    if trial.failures:
        _section("it failed on")
        for failed in trial.failures[:EXAMPLES]:
            where = "a window" if failed.number is None else f"#{failed.number}"
            say(f"  {where}  {_failure(failed.failure)}", style="red")
        _more(len(trial.failures) - EXAMPLES)
        if not trial.complete:
            say("  it failed so often that the rest was not tried", style="red")


def _print_matches(trial: Trial) -> None:
    if not trial.matches:
        return
    _section("matches")
    for found in trial.matches[:EXAMPLES]:
        number = "a window" if found.number is None else f"#{found.number}"
        say(f"  {number}  {moment(found.at)}  {cut(one_line(found.answer.title), _width() - 32)}")
        if found.number is not None:
            _print_fields(trial.decided(trial.record(found.number)))
    _more(len(trial.matches) - EXAMPLES)


def _print_near(trial: Trial) -> None:
    if trial.untold:
        _section("near misses")
        say(f"  none to tell of: {trial.untold}")
        return
    if not trial.near:
        return
    _section("near misses: all of the condition holds but")
    for sample, near in trial.near[:_FIELDS]:
        examples = [trial.number(sample, row) for row in near.rows]
        say(f"  {cut(near.part, _width() - 2)}")
        numbers = ", ".join(f"#{number}" for number in examples)
        say(f"    {counted(near.count, 'record')}: {numbers}{', ...' if near.count > len(examples) else ''}")
        _print_fields(trial.decided(trial.record(examples[0]), near.paths))


def _print_fields(fields: Sequence[tuple[str, Any]]) -> None:
    for name, value in fields[:_FIELDS]:
        shown = json.dumps(jsonable(value), ensure_ascii=False)
        say(cut(f"      {name} = {one_line(shown, 500)}", _width()))


def _verdict(trial: Trial, number: int) -> str:
    match = next((found for found in trial.matches if found.number == number), None)
    failed = next((failed for failed in trial.failures if failed.number == number), None)
    if failed is not None:
        return f"it failed: {_failure(failed.failure)}"
    return "no match" if match is None else f"a match, {one_line(match.answer.title)}"


def _failure(failure: FailureReply) -> str:
    place = f"{failure.file}:{failure.line}: " if failure.file else ""
    return f"{place}{one_line(failure.error)}"


def _section(title: str) -> None:
    say("")
    say(title, style="bold")


def _indented(lines: Iterable[str]) -> None:
    for line in lines:
        say(f"  {line}")


def _first(lines: Sequence[str], most: int) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], f"... and {counted(more, 'line')} more"] if more > 0 else list(lines)


def _more(count: int) -> None:
    if count > 0:
        say(f"  and {count:,} more")


def _width() -> int:
    return min(console.width, _WIDEST)
