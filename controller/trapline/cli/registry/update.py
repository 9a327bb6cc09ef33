"""`trapline registry update`: packs moved on to newer commits, once somebody has seen what that changes."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from trapline.author.change.compare import Comparison, compare
from trapline.author.change.plain import as_plain as plain_comparison
from trapline.author.history.run import lake_of
from trapline.author.registry.desk import Desk
from trapline.author.registry.update import Move, move, moved
from trapline.author.workshop import workshop
from trapline.cli.diff_text import print_comparison
from trapline.cli.options import PERIOD, home_option, sandbox_options
from trapline.cli.output import as_json, errors, print_error, print_json, progress, say
from trapline.cli.registry.common import NEXT, NO_PACKS, desk_here, path_option
from trapline.cli.registry.update_text import as_plain, print_move
from trapline.clock import system_clock
from trapline.source.tree import SourceError
from trapline.window import Window


@click.command()
@click.argument("pack", required=False)
@click.option("--to", metavar="COMMIT", default="", help="The commit to move to; the newest of its ref, if not given.")
@click.option("--diff", "diffs", is_flag=True, help="Show every line that differs in what is used here.")
@click.option(
    "--backtest",
    type=PERIOD,
    metavar="PERIOD",
    help="Run both versions over so long a past, such as 7d.",
)
@click.option("--yes", is_flag=True, help="Write it without asking.")
@click.option("--force", is_flag=True, help="Move on also where that is doubtful, as said below.")
@path_option
@home_option
@sandbox_options
@as_json
def update(
    pack: str | None,
    to: str,
    diffs: bool,
    backtest: timedelta | None,
    yes: bool,
    force: bool,
    path: Path,
    home: Path,
    sandbox: str | None,
    base_image: str | None,
    as_json: bool,
) -> None:
    """Move the pin of PACK, or of every pack, to a newer commit, and show first what changes for you.

    Shown is what becomes of the detections that run here: their rules, what these can match, settings, requirements
    and tests; and in short what is new and what is gone. Then you are asked; without a terminal nothing is written,
    unless --yes is given. A commit that is not signed as `verify` asks for is never moved to.

    It is doubtful where a detection that runs here would run no longer, and where the commit does not follow the pinned
    one, since somebody has rewritten the history, or cannot be compared with it. Then the exit code is 1, and it is
    only written with --force.
    """
    if to and not pack:
        raise click.UsageError("name the pack that --to is a commit of")
    desk = desk_here(path)
    told: list[dict[str, Any]] = []
    troubled = False
    for name in [pack] if pack else sorted(desk.settings.packs):
        try:
            with progress(f"fetching {name}"):
                found = move(desk, name, to=to)
        except SourceError as error:
            if pack:
                raise
            print_error(error)
            troubled = True
            continue
        if found is None:
            continue
        comparison = _backtest(found, desk, backtest, home, sandbox, base_image) if backtest else None
        if not as_json:
            print_move(found, diffs=diffs)
            if comparison:
                print_comparison(comparison)
        agreed = _agreed(found, yes=yes, force=force, ask=not as_json)
        if agreed:
            desk = moved(desk, found)
        told.append(
            as_plain(found)
            | {"written": agreed}
            | ({"backtest": plain_comparison(comparison, ())} if comparison else {})
        )
        troubled |= found.doubtful and not force
    desk.save()
    if as_json:
        print_json(told)
    elif desk.is_changed:
        say(NEXT)
    elif not desk.settings.packs:
        say(NO_PACKS)
    elif not told and not troubled:
        say("nothing is newer than what is pinned")
    sys.exit(1 if troubled else 0)


def is_interactive() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _agreed(move: Move, *, yes: bool, force: bool, ask: bool) -> bool:
    if move.doubtful and not force:
        if ask:
            say(f"not written: {_doubt(move)}; if that is right, add --force", to=errors)
        return False
    if yes or not ask:
        return yes
    if not is_interactive():
        say("not written: there is nobody to ask; add --yes", to=errors)
        return False
    return click.confirm("write it?", default=False)


def _doubt(move: Move) -> str:
    if move.unfollowed:
        return "whether it follows the pinned commit cannot be told"
    return "its history does not go on from the pinned commit" if move.rewritten else "something would run no longer"


def _backtest(
    move: Move, desk: Desk, period: timedelta, home: Path, sandbox: str | None, base_image: str | None
) -> Comparison:
    """What both versions would have alerted, through the code of `trapline diff`."""
    now = system_clock()
    with (
        progress("comparing") as show,
        closing(lake_of(desk.checkout, home, system_clock)) as lake,
        workshop(desk.checkout, sandbox=sandbox, base_image=base_image, now=system_clock, on_progress=show) as place,
    ):
        return compare(
            move.differing,
            move.sides,
            move.base,
            Window(now - period, now),
            lake=lake,
            workshop=place,
            most_bytes=None,
            at_once=os.cpu_count() or 1,
            on_progress=show,
        )
