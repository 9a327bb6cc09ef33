"""`trapline deliveries`: what was said to whom, what came of it, and what was given up, to be sent again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from trapline.alerts.store import without_content
from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, counted, moment, print_json, print_table, say, short
from trapline.clock import system_clock
from trapline.errors import TraplineError
from trapline.outbox.redrive import find_delivery, newest_deliveries, revive
from trapline.outbox.verdict import State

STATES = [state.value for state in State]


@click.group()
def deliveries() -> None:
    """Deliveries: each is one notification of an alert to one destination."""


@deliveries.command("list")
@home_option
@click.option("--state", type=click.Choice(STATES), help="Only those in this state; `dead` were given up.")
@click.option("--destination", metavar="NAME", help="Only those to this destination.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many, newest first.")
@as_json
def list_(home: Path, state: str | None, destination: str | None, limit: int, as_json: bool) -> None:
    """List the newest deliveries."""
    wanted = State(state) if state else None
    with existing_database(home).reading() as connection:
        rows = newest_deliveries(connection, state=wanted, destination=destination, limit=limit)
    if as_json:
        print_json([without_content(row) for row in rows])
        return
    print_table(
        ("DELIVERY", "DESTINATION", "KIND", "ALERT", "STATE", "ATTEMPTS", "QUEUED (UTC)", "NEXT OR SETTLED", "REASON"),
        (
            (
                short(row["id"]),
                row["destination"],
                row["kind"],
                short(row["alert_id"]),
                row["state"],
                str(row["attempts"]),
                moment(row["created_at"]),
                moment(row["settled_at"] or row["next_attempt_at"]),
                row["reason"],
            )
            for row in rows
        ),
        empty="no deliveries",
    )


@deliveries.command()
@home_option
@click.argument("delivery_id", metavar="ID")
@as_json
def show(home: Path, delivery_id: str, as_json: bool) -> None:
    """Show one delivery whole, with the notification that it carries. Of ID the beginning is enough."""
    with existing_database(home).reading() as connection:
        row = find_delivery(connection, delivery_id)
    if as_json:
        print_json(row)
        return
    say(f"{row['destination']}: {row['kind']}, {row['state']}", style="bold")
    next_at = f"no; next {moment(row['next_attempt_at'])} UTC"
    for label, value in (
        ("delivery", row["id"]),
        ("alert", row["alert_id"]),
        ("attempts", str(row["attempts"])),
        ("queued", f"{moment(row['created_at'])} UTC"),
        ("settled", f"{moment(row['settled_at'])} UTC" if row["settled_at"] else next_at),
        ("known as", row["ref"]),
        ("reason", row["reason"]),
    ):
        if value:
            say(f"{label + ':':<10}{value}")
    say("notification:")
    say(json.dumps(row["notification"], indent=2, ensure_ascii=False))


@deliveries.command()
@home_option
@click.argument("delivery_ids", metavar="[ID]...", nargs=-1)
@click.option("--dead", is_flag=True, help="All that were given up.")
@click.option("--destination", metavar="NAME", help="With --dead: only those to this destination.")
@as_json
def redrive(home: Path, delivery_ids: Sequence[str], dead: bool, destination: str | None, as_json: bool) -> None:
    """Send again what was given up: the deliveries ID, or all with --dead.

    They are due at once, and have all their attempts anew. Whether one arrived all the same is looked up first, where
    its destination can tell. What is not dead is left as it is.
    """
    if bool(delivery_ids) == dead or (destination and not dead):
        raise click.UsageError("name deliveries, or say --dead, with --destination or without")
    with existing_database(home).transaction() as connection:
        if dead:
            rows = newest_deliveries(connection, state=State.DEAD, destination=destination, limit=None)
        else:
            rows = [find_delivery(connection, id) for id in delivery_ids]
        if alive := [row["id"] for row in rows if row["state"] != State.DEAD.value]:
            raise TraplineError(
                f"delivery {alive[0]} was not given up: it is {_state(rows, alive[0])}",
                remedy="`trapline deliveries list --state dead` shows those that were",
            )
        ids = [row["id"] for row in rows]
        revive(connection, ids, now=system_clock())
    if as_json:
        print_json({"redriven": ids})
    else:
        say(f"{counted(len(ids), 'delivery')} will be sent again")


def _state(rows: Sequence[Mapping[str, Any]], id: str) -> str:
    return next(str(row["state"]) for row in rows if row["id"] == id)
