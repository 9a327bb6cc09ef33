"""`trapline history`: what happened to a detection, or to all of them and the repository."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, moment, print_json, print_table, short
from trapline.deploy.ledger import Ledger, find


@click.command()
@home_option
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many events.")
@as_json
def history(home: Path, name: str | None, limit: int, as_json: bool) -> None:
    """Show what happened to the detection NAME, or to all of them and the repository, newest first."""
    ledger = Ledger(existing_database(home))
    identity = find(ledger, name).identity if name else None
    events = ledger.history(identity, limit=limit)
    if as_json:
        print_json([asdict(event) for event in events])
        return
    names = {identity: status.name for identity, status in ledger.statuses().items()}
    print_table(
        ("WHEN (UTC)", "WHAT", *(() if name else ("DETECTION",)), "REVISION", "VERSION", ""),
        (
            (
                moment(event.at),
                event.kind,
                *(() if name else (names.get(event.identity, event.identity) or "the repository",)),
                short(event.revision or "-"),
                short(event.deploy_digest or "-"),
                event.message,
            )
            for event in events
        ),
        empty="nothing happened yet",
    )
