"""The command line: one file per command, each thin.

Exit codes: 0 the command did its job and found nothing wrong; 1 something needs a person, and is said; 2 wrong usage;
3 `plan` found something to change.
"""

from __future__ import annotations

import importlib
import signal
import sys
from keyword import iskeyword

import click

from trapline import __version__
from trapline.cli import diagnostics
from trapline.cli.output import print_error
from trapline.errors import TraplineError

# Each is a module of this package with the command of the same name in it; of a word of Python's, with a `_` behind it.
COMMANDS = (
    "alerts",
    "backtest",
    "comment",
    "controller",
    "costs",
    "coverage",
    "deliveries",
    "demo",
    "destinations",
    "diff",
    "explain",
    "failures",
    "history",
    "lock",
    "logs",
    "matches",
    "new",
    "plan",
    "plugins",
    "resume",
    "rollback",
    "schema",
    "status",
    "streams",
    "suppressions",
    "suspend",
    "sync",
    "tables",
    "test",
    "try",
    "validate",
)


class _Commands(click.Group):
    """Imports a command when it is asked for: to look at the state, nobody waits for Docker and DuckDB to load."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(f"trapline.cli.{name}"), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "TRAPLINE"})
@click.version_option(__version__, package_name="trapline")
def cli() -> None:
    """Trapline: merge a detection to main, and it is built, tested, live and watched."""


def main() -> None:
    """Runs the command line; what a person can act on is said without a traceback."""
    diagnostics.set_up()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing temporary is left behind
    try:
        cli()
    except TraplineError as error:
        print_error(error)
        sys.exit(1)
