"""`trapline new`: the beginning of a detection."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from trapline.author.begin import Wish, begin
from trapline.author.checkout import Checkout
from trapline.cli.output import say
from trapline.clock import system_clock
from trapline.detection.model import Mode, Severity
from trapline.errors import TraplineError

_FORMATS = {"yml": Mode.RECORD, "toml": Mode.BATCH}


@click.command()
@click.argument("name")
@click.option("--table", help="The table that it reads; asked for where trapline.yml has several.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(list(_FORMATS)),
    default="yml",
    show_default=True,
    help="`yml`: detect(record), once for each record; `toml`: detect(records), for all of a scan.",
)
@click.option(
    "--severity",
    type=click.Choice([severity.value for severity in Severity]),
    default=Severity.MEDIUM.value,
    show_default=True,
    help="The severity of its alerts.",
)
@click.option(
    "--attack", multiple=True, metavar="TACTIC:TECHNIQUE", help="An id of MITRE ATT&CK, such as ta0006:t1110."
)
@click.option(
    "--repository",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    show_default="the current folder",
    help="The checkout that it is written to.",
)
def new(name: str, table: str | None, shape: str, severity: str, attack: Sequence[str], repository: Path) -> None:
    """Write the detection NAME: a rule that finds nothing yet, and a test that fails until you have filled it in.

    Nothing is overwritten.
    """
    checkout = Checkout.around(repository)
    tables = sorted(checkout.settings.tables)
    wish = Wish(name, table or _asked(tables), _FORMATS[shape], Severity(severity), attack)
    files = begin(wish, checkout.root, known=checkout.loaded.detections, tables=tables, now=system_clock())
    for file in files:
        say(os.path.relpath(file))
    say("say in the first what it is about, and in the second how that looks; then: trapline test")


def _asked(tables: Sequence[str]) -> str:
    if len(tables) == 1:
        return tables[0]
    if not sys.stdin.isatty():
        none = "name it with --table; trapline.yml names none that can be used, as `trapline validate` would say"
        remedy = f"name one with --table: {', '.join(tables)}" if tables else none
        raise TraplineError("nobody has said which table the detection reads", remedy=remedy)
    return str(click.prompt("Which table does it read?", type=click.Choice(tables) if tables else str))
