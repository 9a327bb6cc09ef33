"""The command line: one file per command, each thin.

Exit codes: 0 the command did its job and found nothing wrong; 1 something needs a person, and is said; 2 wrong usage.
"""

from __future__ import annotations

import sys

import click

from trapline import __version__
from trapline.cli.alerts import alerts
from trapline.cli.controller import controller
from trapline.cli.demo import demo
from trapline.cli.output import errors
from trapline.cli.plugins import plugins
from trapline.cli.status import status
from trapline.cli.tables import tables
from trapline.cli.validate import validate
from trapline.errors import TraplineError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "TRAPLINE"})
@click.version_option(__version__, package_name="trapline")
def cli() -> None:
    """Trapline: merge a detection to main, and it is built, tested, live and watched."""


for command in (alerts, controller, demo, plugins, status, tables, validate):
    cli.add_command(command)


def main() -> None:
    """Runs the command line; what a person can act on is said without a traceback."""
    try:
        cli()
    except TraplineError as error:
        errors.print(f"[bold red]error:[/] {click.unstyle(error.message)}", highlight=False)
        if error.remedy:
            errors.print(f"  {error.remedy}", highlight=False)
        sys.exit(1)
