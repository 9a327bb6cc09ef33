"""`trapline plugins`: what is installed, and what of it works."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from trapline.alerts.plugins import load_plugins
from trapline.cli.output import as_json, print_json, print_table


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
