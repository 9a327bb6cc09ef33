"""`trapline alerts`: what was found, why, and the run that found it once more."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from trapline.alerts.resolve import resolve_alert
from trapline.alerts.store import deliveries_of, find_alert, list_alerts, matches_of, without_content
from trapline.cli.options import existing_database, home_option, sandbox_options
from trapline.cli.output import (
    as_json,
    console,
    counted,
    found_text,
    moment,
    print_json,
    print_table,
    progress,
    say,
    severity_text,
    short,
)
from trapline.clock import system_clock
from trapline.detection.model import OWN_IDENTITY
from trapline.errors import TraplineError
from trapline_plugins.text import one_line

_LONGEST_NAME = 100


@click.group()
def alerts() -> None:
    """Alerts: matches of one detection with one dedupe key inside one window."""


@alerts.command("list")
@home_option
@click.option("--detection", metavar="NAME", help="Only the alerts of this detection.")
@click.option("--status", type=click.Choice(["open", "resolved"]), help="Only those that are so.")
@click.option("--storm", metavar="ALERT_ID", help="Only those that this alert, a storm's, stands for.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many, newest first.")
@as_json
def list_(home: Path, detection: str | None, status: str | None, storm: str | None, limit: int, as_json: bool) -> None:
    """List the newest alerts."""
    database = existing_database(home)
    storm = find_alert(database, storm)["id"] if storm else None
    rows = list_alerts(database, detection=detection, status=status, storm=storm, limit=limit)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ALERT", "STATUS", "SEVERITY", "DETECTION", "TITLE", "MATCHES", "FIRST (UTC)", "LAST (UTC)"),
        (
            (
                short(row["id"]),
                row["status"],
                severity_text(row["severity"]),
                row["detection"],
                row["title"],
                str(row["match_count"]),
                moment(row["first_match_at"]),
                moment(row["last_match_at"]),
            )
            for row in rows
        ),
        empty="no alerts yet",
    )


@alerts.command()
@home_option
@click.argument("alert_id")
@as_json
def show(home: Path, alert_id: str, as_json: bool) -> None:
    """Show one alert whole: what happened, its records, its deliveries, and where it comes from."""
    database = existing_database(home)
    alert = find_alert(database, alert_id)
    matches, deliveries = matches_of(database, alert["id"]), deliveries_of(database, alert["id"])
    if as_json:
        print_json({**alert, "matches": matches, "deliveries": [without_content(row) for row in deliveries]})
    else:
        _print_alert(alert, matches, deliveries)


@alerts.command()
@home_option
@click.argument("alert_ids", metavar="ALERT_ID...", nargs=-1, required=True)
@click.option("--reason", default="", help="What came of it, such as `a drill`; told to whoever heard of the alert.")
@click.option("--by", default=getpass.getuser, show_default="who runs this", help="Who resolves it.")
@as_json
def resolve(home: Path, alert_ids: Sequence[str], reason: str, by: str, as_json: bool) -> None:
    """Say that alerts are over. Whoever heard of them is told; a storm ends with all that it stands for.

    What happened before belongs to the alert still, and nobody hears of it; what happens from now on is another alert.
    """
    database = existing_database(home)
    known = [find_alert(database, alert_id)["id"] for alert_id in alert_ids]  # all are there, or nothing is done
    by, reason = one_line(by, _LONGEST_NAME), one_line(reason)
    done = [resolve_alert(database, alert_id, by=by, reason=reason, now=system_clock()) for alert_id in known]
    if as_json:
        print_json([{**alert, "resolved_now": count} for alert, count in done])
        return
    for alert, count in done:
        more = f" and {counted(count - 1, 'alert')} in it" if count > 1 else ""
        said = f"resolved{more}" if count else f"was resolved by {alert['resolved_by']} already"
        say(f"{short(alert['id'])} {said}: {alert['title']}")


@alerts.command()
@home_option
@sandbox_options
@click.argument("alert_id")
@as_json
def replay(home: Path, sandbox: str | None, base_image: str | None, alert_id: str, as_json: bool) -> None:
    """Run the build that raised an alert over the same window again, and compare. Nothing is recorded or delivered.

    The exit code is 1 where a match of the alert's window is not found again.
    """
    from trapline.controller import Controller  # heavy, and the commands that only look do without
    from trapline.options import Options

    alert = find_alert(existing_database(home), alert_id)
    if alert["identity"] == OWN_IDENTITY:
        raise TraplineError(
            f"alert {alert['id']} is about Trapline itself: no detection raised it, so that there is nothing to replay",
            remedy=f"`{alert['provenance']['replay']}` shows more of it",
        )
    options = Options(home, sandbox=sandbox, base_image=base_image)
    with progress("replaying") as on_progress, Controller(options, on_progress=on_progress) as running:
        result = running.replay(alert)
    if as_json:
        print_json(
            {"alert": alert["id"], "window": str(result.window), "found": result.found, "missing": result.missing}
        )
    else:
        say(
            f"build {short(alert['provenance']['digest'])} over {result.window} finds again "
            f"{len(result.found)} of the {counted(len(result.found) + len(result.missing), 'match')} it found then",
        )
    sys.exit(1 if result.missing else 0)


def _print_alert(
    alert: Mapping[str, Any], matches: Sequence[Mapping[str, Any]], deliveries: Sequence[Mapping[str, Any]]
) -> None:
    ours = alert["identity"] == OWN_IDENTITY
    console.print(severity_text(alert["severity"]), end=" ")
    say(alert["title"], style="bold")
    _line("alert", f"{alert['id']} ({alert['status']})")
    _line("resolved", _resolution(alert))
    _line("told with", alert["storm_id"] and f"{alert['storm_id']}, among others")
    _line("detection", alert["detection"])
    _line("dedupe", alert["dedupe"])
    times = f"{alert['match_count']}, {moment(alert['first_match_at'])} to {moment(alert['last_match_at'])} UTC"
    _line("raised" if ours else "matches", times)
    _line("description", alert["description"])
    _line("runbook", alert["runbook"])
    _line("context", json.dumps(alert["context"]) if alert["context"] else "")
    _print_provenance(alert["provenance"], ours=ours)
    console.print()
    if not ours:
        _print_matches(matches)
        console.print()
    _print_deliveries(deliveries, ours=ours)


def _resolution(alert: Mapping[str, Any]) -> str:
    if alert["status"] != "resolved":
        return ""
    reason = f": {alert['resolution']}" if alert["resolution"] else ""
    return f"{moment(alert['resolved_at'])} UTC by {alert['resolved_by']}{reason}"


def _line(name: str, value: object) -> None:
    if value:
        console.print(f"{name + ':':<13}", end="", style="bold")
        say(str(value))


def _print_provenance(provenance: Mapping[str, Any], *, ours: bool) -> None:
    _line("revision", provenance["revision"])
    _line("build", provenance["digest"])
    if ours:
        _line("more", provenance["replay"])
        return
    _line("scan", f"{provenance['query_id']} of {provenance['table']}, {provenance['bytes_scanned']:,} bytes")
    _line("window", f"{provenance['window_start']} to {provenance['window_end']}")
    _line("replay", provenance["replay"])


def _print_matches(matches: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ("MATCH", "TIME (UTC)", "SEVERITY", "TITLE", ""),
        (
            (short(m["id"]), moment(m["event_at"]), severity_text(m["severity"]), m["title"], found_text(m))
            for m in matches
        ),
        empty="no matches",
    )


def _print_deliveries(deliveries: Sequence[Mapping[str, Any]], *, ours: bool) -> None:
    why = "`operations` in trapline.yml names no destination"
    if not ours:
        why = "the detection names no destination and trapline.yml has no default"
    print_table(
        ("DELIVERY", "DESTINATION", "KIND", "STATE", "ATTEMPTS", "SETTLED (UTC)", "REASON"),
        (
            (
                short(d["id"]),
                d["destination"],
                d["kind"],
                d["state"],
                str(d["attempts"]),
                moment(d["settled_at"]),
                d["reason"],
            )
            for d in deliveries
        ),
        empty=f"it was delivered nowhere: {why}",
    )
