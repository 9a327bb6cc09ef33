"""`trapline plugins`: what is installed, what of it works, and the beginning of another one."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from trapline.cli.output import as_json, print_json, print_table, say
from trapline.delivery.plugins import load_plugins
from trapline.delivery.skeleton import write_skeleton


@click.group()
def plugins() -> None:
    """Plugins that bring destinations."""


@plugins.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List every installed plugin; one that is broken is set aside, with its reason, and the exit code is 1."""
    listing = load_plugins().listing
    if as_json:
        print_json([asdict(info) for info in listing])
    else:
        print_table(
            ("PLUGIN", "DISTRIBUTION", "VERSION", "DESTINATIONS", "STATE"),
            (
                (info.name, info.distribution, info.version, " ".join(info.kinds), "ok" if info.ok else info.reason)
                for info in listing
            ),
            empty="no plugin is installed, not even the built-in one: reinstall trapline-plugins",
        )
    sys.exit(0 if all(info.ok for info in listing) else 1)


@plugins.command()
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current folder",
    help="The folder that the project is made in.",
)
def new(name: str, into: Path) -> None:
    """Write the project trapline-NAME: a plugin with one destination over HTTP, whose tests pass at once.

    Nothing is overwritten.
    """
    root = write_skeleton(name.removeprefix("trapline-"), into, taken=load_plugins().destinations)
    say(f"{root} is a plugin with the destination {name.removeprefix('trapline-')!r}")
    say(f"  install it:  pip install -e '{root}[test]'")
    say(f"  test it:     pytest {root}")
    say("  see it:      trapline plugins list")
