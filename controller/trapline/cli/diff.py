"""`trapline diff`: what a change does to the alerts, before it is merged."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from trapline.author.change.base import base_of
from trapline.author.change.compare import chosen, compare
from trapline.author.change.gates import Fate, Gates
from trapline.author.change.markdown import markdown
from trapline.author.change.plain import as_plain
from trapline.author.change.sides import sides
from trapline.author.checkout import Checkout
from trapline.author.history.run import lake_of
from trapline.author.workshop import workshop
from trapline.cli.diff_text import print_comparison
from trapline.cli.options import SIZE, home_option, sandbox_options, window_options
from trapline.cli.output import as_json, errors, print_json, progress, say
from trapline.clock import system_clock
from trapline.window import Window


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--base", metavar="REVISION", default="origin/main", show_default=True, help="What to compare with.")
@window_options("7d")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How it is said: for people, for programs, or for a pull request.",
)
@click.option(
    "--max-alerts-per-day",
    type=click.FloatRange(min=0),
    metavar="NUMBER",
    help="A gate: the most alerts a day of one detection.",
)
@click.option("--max-bytes", type=SIZE, help="A gate: the most that the comparison reads, such as 20GB.")
@click.option(
    "--fail-on",
    type=click.Choice([fate.value for fate in Fate]),
    multiple=True,
    help="A gate: no alert may be this. Repeatable.",
)
@home_option
@sandbox_options
@as_json
def diff(
    names: Sequence[str],
    base: str,
    window: Window,
    shape: str,
    max_alerts_per_day: float | None,
    max_bytes: int | None,
    fail_on: Sequence[str],
    home: Path,
    sandbox: str | None,
    base_image: str | None,
    as_json: bool,
) -> None:
    """Run the detections that the checkout changes, before and after, over the same past, and compare their alerts.

    Before is the commit where the checkout left the base revision, after is what is on disk. A NAME is a detection's
    name, its id, or a folder; without any, all that differ in this folder are compared. Nothing is delivered. The exit
    code is 1 where a gate is exceeded, or where what would be merged does not load, build, pass its tests or run over
    that past.
    """
    checkout = Checkout.around(Path())
    found = base_of(checkout, base)
    ends = sides(checkout, found)
    asked = chosen(checkout, ends, names)
    gates = Gates(max_alerts_per_day, max_bytes, [Fate(value) for value in fail_on])
    with (
        progress("comparing") as show,
        closing(lake_of(checkout, home, system_clock)) as lake,
        workshop(checkout, sandbox=sandbox, base_image=base_image, now=system_clock, on_progress=show) as place,
    ):
        comparison = compare(
            asked,
            ends,
            found,
            window,
            lake=lake,
            workshop=place,
            most_bytes=max_bytes,
            at_once=os.cpu_count() or 1,
            on_progress=show,
        )
    exceeded = gates.exceeded(comparison)
    if as_json or shape == "json":
        print_json(as_plain(comparison, exceeded))
    elif shape == "markdown":
        click.echo(markdown(comparison, exceeded, place=checkout.within.as_posix()), nl=False)
    else:
        print_comparison(comparison)
    if shape != "json" and not as_json:
        for sentence in exceeded:
            errors.print("gate: ", style="bold red", end="")
            say(sentence, to=errors)
    sys.exit(1 if exceeded or any(one.trouble for one in comparison.detections) else 0)
