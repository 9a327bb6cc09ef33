"""`trapline tables`: make tables and look at them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa
from rich.filesize import decimal

from trapline.cli.options import existing_database, home_option
from trapline.cli.output import age, as_json, errors, moment, print_json, print_problems, print_table, progress, say
from trapline.clock import system_clock
from trapline.config.words import did_you_mean
from trapline.deploy.ledger import Ledger
from trapline.deploy.memory import Memory
from trapline.errors import TraplineError
from trapline.settings import Settings, TableSettings, parse
from trapline.state.costs import Costs
from trapline.tables.imports import import_cloudtrail

if TYPE_CHECKING:
    from trapline.query.lake import Lake

_WEEK = timedelta(days=6)
"""How far the first of seven days is back."""


@dataclass(frozen=True, slots=True)
class _Table:
    """What is known of a table; `problem` says why its columns and its newest record are not."""

    name: str
    engine: str
    place: str
    columns: Sequence[tuple[str, str]]
    newest: datetime | None
    problem: TraplineError | None
    detections: Sequence[str]
    bytes_today: int
    bytes_of_week: int


@click.group()
def tables() -> None:
    """Tables of records."""


@tables.command("list")
@home_option
@as_json
def list_(home: Path, as_json: bool) -> None:
    """Show every table: where it is, its newest record, who reads it, and what was read of it.

    Of a table of Athena the newest record is looked for with a query. The exit code is 1 where a table cannot be read.
    """
    known = _known(home)
    if as_json:
        print_json([_json(table) for table in known])
    else:
        print_table(
            ("TABLE", "ENGINE", "PLACE", "COLUMNS", "NEWEST (UTC)", "AGE", "DETECTIONS", "READ TODAY", "IN 7 DAYS"),
            (_row(table) for table in known),
            empty="no tables yet",
        )
        _print_problems(known)
    sys.exit(1 if any(table.problem for table in known) else 0)


@tables.command("show")
@click.argument("name")
@home_option
@as_json
def show(name: str, home: Path, as_json: bool) -> None:
    """Show the columns of the table NAME with their types, those inside others by their dotted path."""
    (table,) = _known(home, name)
    if as_json:
        print_json(_json(table))
    else:
        print_table(("COLUMN", "TYPE"), table.columns, empty="its columns are not known yet: it has no records")
        _print_problems([table])
    sys.exit(1 if table.problem else 0)


def _known(home: Path, only: str | None = None) -> list[_Table]:
    """The tables of the settings in force, or only one. Raises TraplineError where there is no such table."""
    from trapline.query.lake import Lake  # the engines take long to load

    with closing(existing_database(home)) as database:
        memory = Memory(database)
        kept = memory.settings()
        settings = parse(kept[1])[0] if kept else Settings()
        if only is not None and only not in settings.tables:
            remedy = f"{did_you_mean(only, settings.tables)} `trapline tables list` shows them".strip()
            raise TraplineError(f"there is no table {only!r} in trapline.yml", remedy=remedy)
        deployments = Ledger(database).deployments().values()
        today = system_clock().astimezone(UTC).date()
        costs = [cost for cost in Costs(database).since(today - _WEEK) if not cost.identity]
        with closing(Lake(settings, home=home, scope=memory.scope(), now=system_clock)) as lake:
            return [
                _Table(
                    name,
                    table.engine,
                    _place(name, table, settings),
                    *_look(lake, name),
                    detections=sorted(one.name for one in deployments if name in one.config.tables),
                    bytes_today=sum(one.bytes for one in costs if one.table == name and one.day == today),
                    bytes_of_week=sum(one.bytes for one in costs if one.table == name),
                )
                for name, table in settings.tables.items()
                if only in (None, name)
            ]


def _look(lake: Lake, name: str) -> tuple[Sequence[tuple[str, str]], datetime | None, TraplineError | None]:
    """A table's columns and its newest record; or why these cannot be told."""
    columns: Sequence[tuple[str, str]] = ()
    try:
        columns = tuple(_leaves(lake.schema(name)))
        return columns, lake.latest(name), None
    except TraplineError as error:
        return columns, None, error


def _place(name: str, table: TableSettings, settings: Settings) -> str:
    if table.engine == "athena":
        database = table.database or (settings.athena.database if settings.athena else "")
        return f"{database}.{table.name or name}"
    return f"{table.iceberg.catalog}: {table.iceberg.table}" if table.iceberg else str(table.path)


def _leaves(fields: pa.Schema | pa.StructType, path: str = "") -> Iterator[tuple[str, str]]:
    for field in fields:
        if pa.types.is_struct(field.type):
            yield from _leaves(field.type, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", _kind(field.type)


def _kind(column: pa.DataType) -> str:
    """A type in Arrow's words, but without the names of what has none for a user."""
    if pa.types.is_map(column):
        return f"map<{_kind(column.key_type)}, {_kind(column.item_type)}>"
    if pa.types.is_list(column):
        return f"list<{_kind(column.value_type)}>"
    if pa.types.is_struct(column):
        return f"struct<{', '.join(f'{field.name}: {_kind(field.type)}' for field in column)}>"
    return str(column)


def _row(table: _Table) -> Sequence[str]:
    return (
        table.name,
        table.engine,
        table.place,
        str(len(table.columns)) if table.columns else "-",
        moment(table.newest),
        age(system_clock() - table.newest) if table.newest else "-",
        str(len(table.detections)),
        decimal(table.bytes_today),
        decimal(table.bytes_of_week),
    )


def _json(table: _Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "engine": table.engine,
        "place": table.place,
        "columns": [{"name": name, "type": kind} for name, kind in table.columns],
        "newest": table.newest,
        "detections": table.detections,
        "bytes_today": table.bytes_today,
        "bytes_7_days": table.bytes_of_week,
        "problem": table.problem.message if table.problem else None,
        "remedy": table.problem.remedy if table.problem else None,
    }


def _print_problems(known: Sequence[_Table]) -> None:
    for table in known:
        if table.problem:
            remedy = f" ({table.problem.remedy})" if table.problem.remedy else ""
            say(f"{table.name}: {table.problem.message}{remedy}", to=errors)


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
