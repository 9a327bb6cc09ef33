"""`trapline backtest`: what detections would have said of a past window, before anybody merges them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from trapline.author.backtest.html import as_page
from trapline.author.backtest.plain import as_plain
from trapline.author.backtest.run import Backtest, choose
from trapline.author.backtest.run import backtest as run_backtest
from trapline.author.checkout import Checkout
from trapline.author.workshop import workshop
from trapline.cli.backtest_text import print_backtest
from trapline.cli.options import SIZE, home_option, sandbox_options, window_options
from trapline.cli.output import as_json, json_text, progress, say, write_file
from trapline.clock import system_clock
from trapline.window import Window


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@window_options("30d")
@home_option
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="How the result is said: for people, for programs, or as a page with plots.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write JSON or the page to this file, and print a summary.",
)
@click.option(
    "--max-bytes",
    type=SIZE,
    help="Read no table of which more than this would be read, such as 50GiB; its budget.day, if not given.",
)
@sandbox_options
@as_json
def backtest(
    names: tuple[str, ...],
    window: Window,
    home: Path,
    shape: str,
    output: Path | None,
    max_bytes: int | None,
    sandbox: str | None,
    base_image: str | None,
    as_json: bool,
) -> None:
    """Run the detections NAME... of this checkout over a past window, and show what they would have said.

    A NAME is a detection's name, its id, or a folder; without any, all in this folder are run, also those that are not
    enabled. They run as a controller would run them, with the suppressions of the checkout, and nothing is delivered.
    The tables are those of the home.

    The exit code is 1 where a detection could not be run, or failed on a record.
    """
    shape = "json" if as_json else shape
    if output and shape == "text":
        raise click.UsageError("--output is for --format json and html")
    if output and not output.absolute().parent.is_dir():  # to be said before it was run
        raise click.BadParameter(f"{output.parent} is no folder", param_hint="--output")
    checkout = Checkout.around(Path())
    chosen = choose(checkout, names)
    with (
        progress("building") as on_progress,
        workshop(checkout, sandbox=sandbox, base_image=base_image, now=system_clock, on_progress=on_progress) as place,
    ):
        result = run_backtest(
            chosen,
            window,
            checkout=checkout,
            home=home,
            workshop=place,
            most_bytes=max_bytes,
            on_progress=on_progress,
        )
    if shape == "text" or output:
        print_backtest(result)
    if shape != "text":
        text = _SHAPES[shape](result)
        if output:
            write_file(text, output, option="--output")
            say(f"written to {output}")
        else:
            click.echo(text)
    sys.exit(1 if result.troubled else 0)


_SHAPES: dict[str, Callable[[Backtest], str]] = {"json": lambda result: json_text(as_plain(result)), "html": as_page}
