"""A comparison for people: of each detection what it raised before and now, with examples."""

from __future__ import annotations

from collections.abc import Sequence

from rich.filesize import decimal

from trapline.author.change.compare import Compared, Comparison
from trapline.author.history.past import Past, PastAlert
from trapline.author.history.summary import per_day, shown_rate
from trapline.cli.output import counted, errors, moment, say, short
from trapline.window import Window
from trapline_plugins.text import cut

_EXAMPLES = 5
_LONG = 200


def print_comparison(comparison: Comparison) -> None:
    """Prints all of it; what is wrong goes to standard error."""
    base, window = comparison.base, comparison.window
    since = f"{short(base.commit)} ({base.revision})"
    if not comparison.detections:
        say(f"no detection that runs has changed since {since}")
        return
    say(f"changed since {since}, run over {moment(window.start)} to {moment(window.end)} UTC:")
    for name in comparison.unlike:
        say(f"{name} has changed too: both versions were run with the new one")
    for one in comparison.detections:
        _print_one(one, window)
    say(f"{counted(comparison.records, 'record')}, {decimal(comparison.bytes_scanned)}, in {comparison.seconds:.1f} s")


def _print_one(one: Compared, window: Window) -> None:
    say("")
    say(one.differing.name, style="bold", end="")
    say(f"  {one.differing.what}")
    for said in one.trouble:
        say(f"  broken: {said}", to=errors, style="red")
    for said in one.before:
        say(f"  it was not well before: {said}")
    alerts = one.alerts
    if one.base or one.head:
        rate = f" ({shown_rate(per_day(len(one.head.alerts), window))} a day)" if one.head else ""
        before, now = _found(one.base, one.before), _found(one.head, one.trouble)
        say(f"  {before} before, {now} now{rate}")
    if one.base and one.head and alerts.empty:
        say("  no alert differs")
    for sign, style, several in (("+", "green", alerts.added), ("-", "red", alerts.removed)):
        for alert in several[:_EXAMPLES]:
            say(f"  {sign} {_line(alert)}", style=style)
        _more(several)
    for pair in alerts.changed[:_EXAMPLES]:
        say(f"  ~ {_line(pair.head)}", style="yellow")
        for label, before, now in pair.differences:
            say(f"      {label}: {cut(before, _LONG) or 'nothing'} -> {cut(now, _LONG) or 'nothing'}")
    _more(alerts.changed)


def _more(several: Sequence[object]) -> None:
    if len(several) > _EXAMPLES:
        say(f"    and {len(several) - _EXAMPLES:,} more")


def _found(past: Past | None, trouble: Sequence[str]) -> str:
    if past is None:
        return "not run" if trouble else "none"
    return f"{counted(len(past.alerts), 'alert')} of {counted(past.matches, 'match')}"


def _line(alert: PastAlert) -> str:
    matches = counted(alert.match_count, "match")
    return f"{moment(alert.first_match_at)}  {alert.severity.value:<8}  {alert.title} ({matches})"
