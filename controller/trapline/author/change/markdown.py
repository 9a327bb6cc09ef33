"""A comparison as Markdown for a pull request. Titles are an attacker's: they stand in code alone, where nothing works.

In a code span there is no link, mention, picture or HTML, neither GitHub's nor GitLab's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape

from rich.filesize import decimal

from trapline.author.change.compare import Compared, Comparison
from trapline.author.change.pairing import Pair
from trapline.author.history.past import Past, PastAlert
from trapline.author.history.summary import per_day, shown_rate
from trapline_plugins.text import one_line

MOST = 60_000
"""Characters in all: GitHub refuses a comment of more than 65,536."""

_EXAMPLES = 5
_ROWS = 100
_SENTENCES = 20
_SHORT, _LONG = 160, 500


def marker(place: str) -> str:
    """The first line of every report about the detections at a place, so that a later one takes the place of it."""
    return f"<!-- trapline diff: {re.sub(r'[^A-Za-z0-9/_.]', '-', place)} -->"


def code(text: str, limit: int = _SHORT) -> str:
    """Text that anybody may have written, in a span of code that it cannot end."""
    shown = one_line(text, limit)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown else "*nothing*"


def markdown(comparison: Comparison, exceeded: Sequence[str], *, place: str) -> str:
    """The report: what stops it, a line for each detection, and the details of as many as there is room for."""
    parts = [marker(place), "## What this change does to the alerts", _about(comparison), *_notes(comparison)]
    if exceeded:
        parts.append(_listed("**It does not pass:**", [code(sentence, _LONG) for sentence in exceeded]))
    shown = comparison.detections
    if shown:
        parts.append("\n".join(_table(comparison)))
    for number, one in enumerate(shown):
        details = _details(one)
        if sum(len(part) + 2 for part in parts) + len(details) > MOST - _LONG:
            parts.append(f"The details of {len(shown) - number:,} more are left out: `trapline diff` shows them.")
            break
        parts.append(details)
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(comparison: Comparison) -> str:
    base, window = comparison.base, comparison.window
    since = f"since {code(base.commit[:12])} ({code(base.revision)})"
    if not comparison.detections:
        return f"No detection that runs has changed {since}."
    start, end = (moment.strftime("%Y-%m-%d %H:%M:%S") for moment in (window.start, window.end))
    cost = f"{comparison.records:,} records, {decimal(comparison.bytes_scanned)} read in {comparison.seconds:.1f} s"
    return f"What has changed {since}, run before and after over {start} to {end} UTC: {cost}."


def _notes(comparison: Comparison) -> Iterator[str]:
    for name in comparison.unlike:
        yield f"`{name}` has changed too: both versions were run with the new one."


def _table(comparison: Comparison) -> Iterator[str]:
    yield "| detection | | alerts before | now | a day | added | removed | changed |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for one in comparison.detections[:_ROWS]:
        alerts = one.alerts
        counts = (len(alerts.added), len(alerts.removed), len(alerts.changed))
        kind = f"{one.differing.kind.value}, **broken**" if one.trouble else one.differing.kind.value
        rate = shown_rate(per_day(len(one.head.alerts), comparison.window)) if one.head else "-"
        cells = [_cell(one.differing.name), kind, _count(one.base), _count(one.head), rate]
        yield f"| {' | '.join([*cells, *(f'{count:,}' for count in counts)])} |"
    if len(comparison.detections) > _ROWS:
        yield f"| and {len(comparison.detections) - _ROWS:,} more | | | | | | | |"


def _cell(name: str) -> str:
    return code(name).replace("|", "\\|")


def _count(past: Past | None) -> str:
    return "-" if past is None else f"{len(past.alerts):,}"


def _details(one: Compared) -> str:
    alerts, what = one.alerts, one.differing
    counts = f"{len(alerts.added):,} added, {len(alerts.removed):,} removed, {len(alerts.changed):,} changed"
    name = escape(one_line(what.name, _SHORT)).replace("`", "&#96;")
    lines = [f"<details><summary><code>{name}</code>: {counts}</summary>"]
    if what.files:
        lines.append(f"Changed: {', '.join(code(name) for name in what.files[:_SENTENCES])}")
    if one.trouble:
        lines.append(_listed("**It cannot be merged as it is:**", [code(said, _LONG) for said in one.trouble]))
    if one.before:
        lines.append(_listed("Before, it was not well:", [code(said, _LONG) for said in one.before]))
    lines += [
        _examples("Added", alerts.added, _alert),
        _examples("Removed", alerts.removed, _alert),
        _examples("Changed", alerts.changed, _pair),
    ]
    return "\n\n".join([*(line for line in lines if line), "</details>"])


def _examples(title: str, found: Sequence[object], say: Callable[..., str]) -> str:
    if not found:
        return ""
    shown = [say(one) for one in found[:_EXAMPLES]]
    if len(found) > _EXAMPLES:
        shown.append(f"and {len(found) - _EXAMPLES:,} more")
    return _listed(f"**{title}**", shown)


def _listed(title: str, lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:_SENTENCES]]
    if len(lines) > _SENTENCES:
        shown.append(f"- and {len(lines) - _SENTENCES:,} more")
    return "\n".join([title, "", *shown])


def _alert(alert: PastAlert) -> str:
    matches = "1 match" if alert.match_count == 1 else f"{alert.match_count:,} matches"
    return f"{alert.first_match_at:%Y-%m-%d %H:%M:%S} {alert.severity.value} {code(alert.title)}, {matches}"


def _pair(pair: Pair) -> str:
    told = [f"{label}: {code(before)} → {code(now)}" for label, before, now in pair.differences]
    return "; ".join([_alert(pair.head), *told])
