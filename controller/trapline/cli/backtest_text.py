"""A backtest for people: a line for each detection, and of a few the whole story."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.filesize import decimal
from rich.text import Text

from trapline.author.backtest.run import Backtest
from trapline.author.history.past import PastAlert
from trapline.author.history.summary import Histogram, Summary, per_day, shown_rate
from trapline.cli.output import console, counted, errors, moment, print_table, say, severity_text
from trapline.config.units import format_duration
from trapline.state.costs import dollars

_TOLD = 10  # detections of which all is told
_KEYS = 5
_EXAMPLES = 3
_BLOCKS = "▁▂▃▄▅▆▇█"


def print_backtest(backtest: Backtest) -> None:
    """Prints all of it; of many detections only the table, and what went wrong."""
    summaries = backtest.summaries
    window = backtest.window
    say(f"{moment(window.start)} to {moment(window.end)} UTC, in the sandbox {backtest.sandbox}; nothing was delivered")
    say("")
    if len(summaries) > 1:
        _print_table(summaries)
        say("")
    if len(summaries) <= _TOLD:
        for summary in summaries:
            _print_story(summary)
    else:
        console.print("name a detection to see its alerts, or see all with --format html --output FILE", style="dim")
        say("")
    _print_troubles(backtest)
    _print_totals(backtest)


def bars(counts: Sequence[int]) -> str:
    """A column for each count, as high as it is among them; nothing where there was nothing."""
    most = max(counts, default=0)
    return "".join(_BLOCKS[-(-count * len(_BLOCKS) // most) - 1] if count else " " for count in counts)


def _print_table(summaries: Sequence[Summary]) -> None:
    priced = any(one.price for one in summaries)
    columns = ["DETECTION", "ALERTS", "A DAY", "MATCHES", "WORST", "FAILED", "READ"]
    rows = ([*_row(one), *([dollars(one.price)] if priced else [])] for one in summaries)
    print_table([*columns, *(["USD"] if priced else [])], rows, empty="")


def _row(summary: Summary) -> Iterator[str | Text]:
    past = summary.past
    yield past.version.detection.name
    yield f"{len(past.alerts):,}"
    yield shown_rate(summary.alerts_per_day)
    yield f"{past.matches:,}"
    worst = next(iter(summary.severities), None)
    yield severity_text(worst.value) if worst else ""
    if past.errors:
        yield Text("not run whole", style="red")
    else:
        yield "not due" if past.not_due else f"{past.failures:,}" if past.failures else ""
    yield decimal(summary.bytes_scanned)


def _print_story(summary: Summary) -> None:
    past = summary.past
    detection = past.version.detection
    say(detection.name, style="bold", end="\n" if detection.config.enabled else " (not enabled)\n")
    if past.matches:
        say(f"  {_counts(summary)}")
        _print_histogram(summary.histogram)
        _print_keys(summary)
        _print_examples(summary.examples[:_EXAMPLES], of=len(past.alerts))
    elif past.not_due:
        say("  not run: no window of its schedule lies whole in this time")
    else:
        say("  nothing was found, as far as it was run" if past.errors else "  nothing was found")
    over = f"{counted(past.records, 'record')} in {counted(past.windows, 'window')}"
    cost = f", {dollars(summary.price)} USD" if summary.price else ""
    say(f"  run over {over}; its part of what was read: {decimal(summary.bytes_scanned)}{cost}", style="dim")
    say("")


def _counts(summary: Summary) -> str:
    past = summary.past
    said = f"{counted(len(past.alerts), 'alert')} ({shown_rate(summary.alerts_per_day)} a day)"
    if len(summary.severities) == 1:
        said += f", all {next(iter(summary.severities)).value}"
    elif summary.severities:
        said += ", " + ", ".join(f"{count:,} {severity.value}" for severity, count in summary.severities.items())
    parts = [f"{said}, from {counted(past.matches, 'match')}"]
    if past.pending:
        parts.append(f"{past.pending:,} below the threshold")
    if past.suppressed:
        parts.append(f"{past.suppressed:,} suppressed")
    return "; ".join(parts)


def _print_histogram(histogram: Histogram) -> None:
    most = []
    for noun, counts in (("match", histogram.matches), ("alert", histogram.alerts)):
        if any(counts):
            name = counted(2, noun).removeprefix("2 ")
            console.print(f"  {name:<8}{bars(counts)}", highlight=False)
            most.append(counted(max(counts), noun))
    columns = len(histogram.matches)
    start, end = (f"{at:%Y-%m-%d %H:%M}" for at in (histogram.start, histogram.start + histogram.step * columns))
    say(f"  {'':<8}{start}{end:>{max(columns - len(start), len(end) + 1)}}", style="dim")
    say(f"  {'':<8}at most {' and '.join(most)} in {format_duration(histogram.step)}", style="dim")


def _print_keys(summary: Summary) -> None:
    for number, key in enumerate(summary.keys[:_KEYS]):
        of_alerts = f"{counted(key.alerts, 'alert')} of {counted(key.matches, 'match')}"
        say(f"  {'keys' if number == 0 else '':<8}{of_alerts}: {key.dedupe}")
    others = len(summary.keys) + summary.other_keys - _KEYS
    if others > 0:
        say(f"  {'':<8}and {counted(others, 'other key')}", style="dim")


def _print_examples(alerts: Sequence[PastAlert], *, of: int) -> None:
    for number, alert in enumerate(alerts):
        console.print(
            f"  {'such as' if number == 0 else '':<8}{moment(alert.first_match_at)} ", highlight=False, end=""
        )
        console.print(severity_text(alert.severity.value), end=" ")
        say(alert.title)
    if of > len(alerts) > 0:
        say(f"  {'':<8}and {counted(of - len(alerts), 'other alert')}", style="dim")


def _print_troubles(backtest: Backtest) -> None:
    for one in backtest.not_run:
        _trouble(one.path, f"not run: {one.reason}")
    for summary in backtest.summaries:
        past = summary.past
        for error in past.errors:
            _trouble(past.version.detection.name, f"not run whole: {error}")
        if past.failures:
            _trouble(
                past.version.detection.name, f"failed {counted(past.failures, 'time')}, first in {past.first_failure}"
            )


def _trouble(name: str, said: str) -> None:
    errors.print("error: ", style="bold red", end="")
    say(f"{name}: {said}", to=errors)


def _print_totals(backtest: Backtest) -> None:
    history, summaries = backtest.history, backtest.summaries
    alerts = sum(len(one.past.alerts) for one in summaries)
    cost = f" for {dollars(backtest.price)} USD" if backtest.price else ""
    rate = shown_rate(per_day(alerts, backtest.window))
    say(
        f"{counted(len(summaries), 'detection')}, {counted(alerts, 'alert')} ({rate} a day); "
        f"{counted(history.records, 'record')} in {counted(len(history.scans), 'scan')}, "
        f"{decimal(history.bytes_scanned)} read{cost}, in {history.seconds:.1f} s",
        style="bold red" if backtest.troubled else "green",
    )
