"""`trapline matches`: the records that detections said yes to, with or without an alert."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from trapline.alerts.store import list_matches
from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, found_text, moment, print_json, print_table, severity_text, short
from trapline.deploy.ledger import Ledger, find


@click.group()
def matches() -> None:
    """Matches: records for which a detection said yes."""


@matches.command("list")
@home_option
@click.argument("name", required=False)
@click.option("--suppressed", is_flag=True, help="Only those that suppressions.yml keeps out of alerts.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many, newest first.")
@as_json
def list_(home: Path, name: str | None, suppressed: bool, limit: int, as_json: bool) -> None:
    """List the newest matches, of the detection NAME or of all."""
    database = existing_database(home)
    ledger = Ledger(database)
    identity = find(ledger, name).identity if name else None
    rows = list_matches(database, identity=identity, suppressed=suppressed or None, limit=limit)
    if as_json:
        print_json(rows)
        return
    names = {status.identity: status.name for status in ledger.statuses().values()}
    print_table(
        ("MATCH", "EVENT (UTC)", "SEVERITY", "DETECTION", "TITLE", "ALERT", ""),
        (
            (
                short(row["id"]),
                moment(row["event_at"]),
                severity_text(row["severity"]),
                names.get(row["identity"], row["identity"]),
                row["title"],
                _alert(row),
                found_text(row),
            )
            for row in rows
        ),
        empty="no matches",
    )


def _alert(row: Mapping[str, Any]) -> str:
    """The alert that it belongs to, or why it belongs to none."""
    if row["suppressed_by"]:
        return f"suppressed by {row['suppressed_by']}"
    return short(row["alert_id"]) if row["alert_id"] else "below the threshold"
