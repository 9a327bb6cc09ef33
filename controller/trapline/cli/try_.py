"""`trapline try`: a rule tried on history while it is written."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import click

from trapline.author.checkout import Checkout
from trapline.author.trial.plain import as_plain, plain_probe
from trapline.author.trial.sample import Asked, Samples
from trapline.author.trial.session import Place, Session, Unloaded, find
from trapline.author.workshop import cached
from trapline.cli.options import home_option, sandbox_options, window_options
from trapline.cli.output import as_json, print_json, print_problems, progress
from trapline.cli.trial_loop import Loop
from trapline.cli.trial_text import print_probe, print_trial
from trapline.clock import system_clock
from trapline.window import Window

_A_MOMENT = timedelta(minutes=1)


@click.command("try")
@click.argument("name")
@window_options("24h")
@click.option(
    "--sample",
    "most",
    type=click.IntRange(100, 200_000),
    default=20_000,
    show_default=True,
    help="Records of each table at most; a sample is taken from all over the window.",
)
@click.option("--fresh", is_flag=True, help="Fetch the sample anew, although there is one that was kept.")
@click.option("--once", is_flag=True, help="Run once and end: for scripts.")
@click.option(
    "--record", metavar="NUMBER|ID", help="With --once: the value of every part of the condition on a record."
)
@home_option
@sandbox_options
@as_json
def try_(
    name: str,
    window: Window,
    most: int,
    fresh: bool,
    once: bool,
    record: str | None,
    home: Path,
    sandbox: str | None,
    base_image: str | None,
    as_json: bool,
) -> None:
    """Try the detection NAME on records of its tables, again after each save.

    NAME is a detection's name, its id, or its folder. A sample of its tables is fetched once and kept. Each run shows
    how many records match and the alerts that they would make, failures, examples with the fields that decided, and
    records for which one part of the condition is all that does not hold. Records have numbers: type one to see the
    record, `p` and a number for the value of every part of the condition, `?` for all there is. Nothing is delivered,
    and no home is changed.

    With --once the exit code is 1 where the rule does not load, or fails on a record.
    """
    if (record or as_json) and not once:
        raise click.UsageError("--record and --json go with --once")
    checkout = Checkout.around(Path(name) if Path(name).exists() else Path())
    asked = Asked(window, most, now=system_clock() - window.end < _A_MOMENT)
    place = Place(checkout.root, find(name, checkout), asked, sandbox, base_image)
    samples = Samples(cached(checkout) / "samples", home, system_clock)
    if once:
        sys.exit(_once(Session(place, samples, system_clock, fresh), record, as_json=as_json))
    Loop(Session(place, samples, system_clock, fresh)).run()


def _once(session: Session, record: str | None, *, as_json: bool) -> int:
    try:
        with progress("reading a sample") as on_progress:
            session.tell(on_progress)
            trial = session.run()
            number = session.number(record) if record else 0
            reply = session.probe(number) if number else None
    except Unloaded as error:
        print_problems(error.problems)
        return 1
    now = system_clock()
    if as_json:
        print_json({**as_plain(trial, now), **({"probe": plain_probe(trial, number, reply)} if reply else {})})
    elif reply:
        print_probe(trial, number, reply)
    else:
        print_trial(trial, now)
    return 1 if trial.failures or (reply and reply.failure) else 0
