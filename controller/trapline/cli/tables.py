"""`trapline tables`: make tables and look at them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trapline.cli.output import as_json, moment, print_json, print_problems, progress, say
from trapline.errors import TraplineError
from trapline.tables.imports import import_cloudtrail


@click.group()
def tables() -> None:
    """Tables of records."""


@tables.group("import")
def import_() -> None:
    """Turn deliveries into a table."""


@import_.command("cloudtrail")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The table's folder; made where there is none. Importing the same file again changes nothing.",
)
@as_json
def cloudtrail(source: Path, to: Path, as_json: bool) -> None:
    """Import CloudTrail deliveries (.json, .json.gz, or a folder of them) as an ECS table, partitioned by day.

    A broken file is reported and skipped, the rest is imported, and the exit code is 1.
    """
    with progress(f"importing {source}") as show:
        result = import_cloudtrail(source, to, on_file=lambda path: show(f"importing {path.name}"))
    if not result.files and not result.problems:
        raise TraplineError(
            f"there are no CloudTrail deliveries in {source}", remedy="name a folder of .json or .json.gz"
        )
    if as_json:
        print_json(
            {
                "files": result.files,
                "events": result.events,
                "days": [str(day) for day in result.days],
                "first": result.first,
                "last": result.last,
                "problems": [str(problem) for problem in result.problems],
            }
        )
    else:
        print_problems(result.problems)
        say(
            f"{result.events:,} events of {result.files} files, {moment(result.first)} to {moment(result.last)} UTC, "
            f"are in {to}",
        )
    sys.exit(1 if result.problems else 0)
