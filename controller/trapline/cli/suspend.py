"""`trapline suspend`: nothing of one detection runs, and nothing of it is deployed, until it is resumed."""

from __future__ import annotations

from pathlib import Path

import click

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import say
from trapline.clock import system_clock
from trapline.deploy.ledger import Ledger, find
from trapline.deploy.overrides import Kind, Override, Overrides


@click.command()
@home_option
@click.argument("name")
@click.option("--reason", default="", help="Why, for whoever reads the status.")
def suspend(home: Path, name: str, reason: str) -> None:
    """Stop running and deploying the detection NAME until `trapline resume NAME`.

    What it has not seen meanwhile it reads then: nothing is lost.
    """
    database = existing_database(home)
    found = find(Ledger(database), name)
    Overrides(database).decide(Override(found.identity, Kind.SUSPENDED, system_clock(), reason))
    say(f"{found.name} is suspended; `trapline resume {found.name}` lets it go on where it was")
