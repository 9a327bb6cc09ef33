"""`trapline suppressions`: what raises no alerts now, who says so, and until when."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from trapline.alerts.store import suppressed_counts
from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, print_json, print_table
from trapline.clock import system_clock
from trapline.deploy.memory import Memory
from trapline.suppressions import Suppression, parse


@click.group()
def suppressions() -> None:
    """Suppressions: which matches raise no alerts, as suppressions.yml says."""


@suppressions.command("list")
@home_option
@as_json
def list_(home: Path, as_json: bool) -> None:
    """List what holds now, with how many matches each suppressed and whether it is over."""
    database = existing_database(home)
    entries = parse(Memory(database).suppressions())[0].entries
    counts, now = suppressed_counts(database), system_clock()
    if as_json:
        print_json(
            [
                {
                    "id": one.id,
                    **one.model_dump(mode="json"),
                    "expired": one.ends_at <= now,
                    "matches": counts.get(one.id, 0),
                }
                for one in entries
            ]
        )
        return
    print_table(
        ("SUPPRESSION", "OF", "OWNER", "REASON", "EXPIRES", "MATCHES"),
        (
            (one.id, _what(one), one.owner, one.reason, _expires(one, now), f"{counts.get(one.id, 0):,}")
            for one in sorted(entries, key=lambda one: one.expires)
        ),
        empty="nothing is suppressed",
    )


def _what(entry: Suppression) -> str:
    said = {"detection": entry.detection, "dedupe": entry.dedupe} | {
        path: " or ".join(map(str, values)) for path, values in entry.fields.items()
    }
    return ", ".join(f"{key} {value}" for key, value in said.items() if value is not None)


def _expires(entry: Suppression, now: datetime) -> str:
    days = (entry.ends_at - now).days
    if entry.ends_at <= now:
        return f"{entry.expires}: over"
    return f"{entry.expires}" + (f": in {days + 1} days" if days < 14 else "")
