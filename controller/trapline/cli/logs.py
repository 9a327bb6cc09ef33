"""`trapline logs`: what a rule printed, and what it prints now."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import as_json, console, moment, print_json, say
from trapline.deploy.ledger import Ledger, find
from trapline.state.logs import KEPT_ENTRIES, Entry, Logs

_POLL_MILLISECONDS = 500


@click.command()
@home_option
@click.argument("name")
@click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is printed from now on, until ^C.")
@as_json
def logs(home: Path, name: str, limit: int, follow: bool, as_json: bool) -> None:
    """Show what the detection NAME printed, oldest first: over the windows it ran on, and in its own tests.

    With --follow, --json gives one JSON document for each entry instead of a list of them.
    """
    database = existing_database(home)
    kept, identity = Logs(database), find(Ledger(database), name).identity
    entries = kept.tail(identity, limit)
    if as_json and not follow:
        print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        _print(entry, as_json)
    if follow:
        with suppress(KeyboardInterrupt):
            for entry in _coming(kept, identity, after=entries[-1].id if entries else 0):
                _print(entry, as_json)
    elif not entries:
        console.print("it has printed nothing yet", style="dim")


def _coming(kept: Logs, identity: str, *, after: int) -> Iterator[Entry]:
    """What is printed from now on, until nobody reads what is written here."""
    while not _nobody_reads():
        for entry in kept.tail(identity, KEPT_ENTRIES, after=after):
            after = entry.id
            yield entry


def _nobody_reads() -> bool:
    """Waits a moment, and ends at once where the other end of a pipe is closed, though nothing is written to it."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return bool(poll.poll(_POLL_MILLISECONDS))


def _print(entry: Entry, as_json: bool) -> None:
    if as_json:
        print_json(asdict(entry))
        return
    console.print(moment(entry.at), end="  ", style="bold")
    say(entry.source, style="dim")
    for line in entry.text.rstrip("\n").split("\n"):
        say(f"  {line}")  # indented, so that none can pass for a heading
