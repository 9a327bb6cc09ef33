"""`trapline failures`: the records that a rule failed on, why, and what the version that is live says of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from trapline.alerts.failures import Failures
from trapline.cli.options import controller_options, existing_database, home_option, in_use
from trapline.cli.output import as_json, counted, errors, moment, print_json, print_table, progress, say, short
from trapline.deploy.ledger import Ledger, find
from trapline.errors import TraplineError
from trapline.options import Options


@click.group()
def failures() -> None:
    """Failures: records that a rule failed on, kept until a version gets through them."""


@failures.command("list")
@home_option
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Also those that a version got through since.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many, newest first.")
@as_json
def list_(home: Path, name: str | None, everything: bool, limit: int, as_json: bool) -> None:
    """List the newest failures, of the detection NAME or of all."""
    database = existing_database(home)
    ledger = Ledger(database)
    identity = find(ledger, name).identity if name else None
    rows = Failures(database).newest(identity, settled=everything, limit=limit)
    if as_json:
        print_json([_plain(row) for row in rows])
        return
    names = {status.identity: status.name for status in ledger.statuses().values()}
    print_table(
        ("FAILURE", "DETECTION", "OUTCOME", "PLACE", "EVENT (UTC)", "FAILED (UTC)", "SETTLED (UTC)", "ERROR"),
        (
            (
                short(row["id"]),
                names.get(row["identity"], row["identity"]),
                row["outcome"],
                _place(row),
                moment(row["event_at"]),
                moment(row["failed_at"]),
                moment(row["settled_at"]),
                row["error"],
            )
            for row in rows
        ),
        empty="no failures",
    )


@failures.command()
@home_option
@click.argument("failure_id", metavar="ID")
@as_json
def show(home: Path, failure_id: str, as_json: bool) -> None:
    """Show one failure whole: what was raised and where, and the record.

    ID may also be the name of a detection: its newest failure.
    """
    database = existing_database(home)
    ledger = Ledger(database)
    row = _newest_of(failure_id, Failures(database), ledger) or Failures(database).find(failure_id)
    if as_json:
        print_json(_plain(row))
        return
    known = ledger.statuses().get(row["identity"])
    settled = f", settled {moment(row['settled_at'])} UTC" if row["settled_at"] else ""
    where = f" in {row['function']}()" if row["function"] else ""
    say(f"{known.name if known else row['identity']}: {row['outcome']}{where}{settled}", style="bold")
    for label, value in (
        ("failure", row["id"]),
        ("error", row["error"]),
        ("place", _place(row)),
        ("event", f"{moment(row['event_at'])} UTC in {row['table_name']}"),
        ("window", f"{moment(row['window_start'])} to {moment(row['window_end'])} UTC"),
        ("failed", f"{moment(row['failed_at'])} UTC, version {short(row['deploy_digest'] or '-')}"),
        ("revision", row["revision"] or "-"),
    ):
        say(f"{label + ':':<10}{value}".replace("\n", "\n" + " " * 10))  # so that no line of a rule's stands by itself
    record = row["record"]
    say("record:" if record is not None else "record:   none: the rule failed on its whole window")
    if record is not None:
        say(json.dumps(record, indent=2, ensure_ascii=False))


@failures.command()
@controller_options
@click.argument("name")
@as_json
def replay(options: Options, name: str, as_json: bool) -> None:
    """Bring the failures of the detection NAME past the version that is live.

    What it finds is recorded as if it had been found then; what it gets through is settled. The exit code is 1 where it
    still fails on something.
    """
    from trapline.controller import Controller  # heavy, and the commands that only look do without

    with progress("replaying") as on_progress, Controller(in_use(options), on_progress=on_progress) as running:
        found = find(running.ledger, name)
        result = running.replay_failures(found.identity)
    open_ = result.tried - result.settled
    if as_json:
        print_json(
            {
                "detection": found.name,
                "tried": result.tried,
                "settled": result.settled,
                "matches": result.matches,
                "error": result.error or None,
            }
        )
    else:
        say(
            f"{found.name} got through {result.settled} of {counted(result.tried, 'failure')}: "
            f"{counted(result.matches, 'match')}, {counted(result.opened, 'alert')} opened, {result.updated} updated"
        )
        if result.error:
            say(f"  {result.error}", to=errors)
    sys.exit(1 if open_ or result.error else 0)


def _newest_of(name: str, stored: Failures, ledger: Ledger) -> Mapping[str, Any] | None:
    """The newest failure of the detection of this name; None where it names none."""
    try:
        identity = find(ledger, name).identity
    except TraplineError:
        return None
    rows = stored.newest(identity, limit=1) or stored.newest(identity, settled=True, limit=1)
    if not rows:
        raise TraplineError(f"{name} has no failures")
    return rows[0]


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['file']}:{row['line']}" if row["file"] else "-"


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A failure as a program reads it: the record stands in it as JSON, so its bytes need not."""
    return {name: value for name, value in row.items() if name != "payload"}
