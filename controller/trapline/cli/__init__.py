"""The command line: one file per command, each thin.

Exit codes: 0 the command did its job and found nothing wrong; 1 something needs a person, and is said; 2 wrong usage;
3 `plan` found something to change.
"""

from __future__ import annotations

import signal
import sys

import click

from trapline import __version__
from trapline.cli import diagnostics
from trapline.cli.lazy import LazyGroup
from trapline.cli.output import print_error
from trapline.errors import TraplineError

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
    "import",
    "lock",
    "logs",
    "matches",
    "new",
    "plan",
    "plugins",
    "registry",
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


@click.group(
    cls=LazyGroup,
    package=__name__,
    modules=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "TRAPLINE"},
)
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
