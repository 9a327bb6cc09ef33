"""What every command prints with: readable tables for people, `--json` for programs, progress on a terminal only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trapline.config.redact import hide_known_secrets
from trapline.errors import Problem, TraplineError
from trapline_plugins.text import one_line, visible

# In a pipe or a file there is no width to keep to: a line is a line, and a table as wide as it needs.
PIPE_WIDTH = 10_000

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
errors = Console(stderr=True, soft_wrap=True)

SEVERITY_STYLES = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "notice": "blue",
    "info": "dim",
}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of text for people.")


def print_json(value: Any) -> None:
    """Writes plain JSON, without colour or wrapping."""
    click.echo(json_text(value))


def json_text(value: Any) -> str:
    """Plain JSON, times in ISO 8601."""
    return json.dumps(value, indent=2, default=_plain)


def write_file(text: str, file: Path, *, option: str) -> None:
    """Writes what was asked for by an option into the file that it names."""
    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        remedy = f"name another file with {option}"
        raise TraplineError(f"{file} cannot be written: {error.strerror}", remedy=remedy) from error


def say(text: str, *, to: Console = console, style: str = "", end: str = "\n") -> None:
    """Prints text that anybody may have written, an attacker into a log included: no markup, no terminal escapes."""
    lines = [visible(line) for line in text.split("\n")]
    to.print("\n".join(lines), style=style, end=end, highlight=False, markup=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, empty: str) -> None:
    """A table for people; `empty` is said where there is no row."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold", expand=False)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else escape(one_line(cell)) for cell in row))
    if table.row_count:
        console.print(table, soft_wrap=False)
    else:
        console.print(empty, style="dim")


def print_error(error: TraplineError) -> None:
    """What went wrong and what to do, on standard error, without a traceback."""
    errors.print("error: ", style="bold red", end="")
    say(hide_known_secrets(error.message), to=errors)
    if error.remedy:
        say(f"  {error.remedy}", to=errors)


def print_problems(problems: Iterable[Problem]) -> None:
    """Problems on standard error, one block each: place, message, remedy."""
    for problem in problems:
        style = "bold red" if problem.severity == "error" else "yellow"
        place, _, rest = str(problem).partition(f": {problem.severity}: ")
        say(f"{place}: ", to=errors, end="")
        errors.print(f"{problem.severity}: ", style=style, end="")
        say(rest, to=errors)


def print_outcomes(detections: Iterable[Mapping[str, Any]]) -> None:
    """What a reconcile did about each detection, as `name`, `action` and `message`; the unchanged are counted."""
    unchanged = 0
    for detection in detections:
        told = f": {detection['message']}" if detection["message"] else ""
        if detection["action"] in ("stalled", "waiting"):
            say(f"  {detection['action']:<13}{detection['name']}{told}", to=errors)
        elif detection["action"] == "unchanged":
            unchanged += 1
        elif detection["action"] != "disabled":
            say(f"  {detection['action']:<13}{detection['name']}{told}")
    if unchanged:
        say(f"  unchanged    {counted(unchanged, 'detection')}")


def severity_text(severity: str) -> Text:
    return Text(severity, style=SEVERITY_STYLES.get(severity, ""))


def found_text(match: Mapping[str, Any]) -> str:
    """How a match was found, where that is worth a word: by a sweep, though a stream should have brought it."""
    return "late: found by a sweep" if match["late"] else ""


def counted(number: int, noun: str) -> str:
    """`1 alert`, `2 alerts`, `3 matches`, `1,000 deliveries`."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number:,} {noun.removesuffix('y')}ies"
    return f"{number:,} {noun}{'es' if noun.endswith(('ch', 's')) else 's'}"


def moment(value: datetime | None) -> str:
    """A time as people read it, in UTC; seconds are enough."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if value else "-"


def age(passed: timedelta) -> str:
    """How long ago, in its largest unit: `5s`, `12m`, `3h`, `40d`."""
    seconds = max(int(passed.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def short(digest: str) -> str:
    """The first twelve characters of a digest or revision, enough to know it by."""
    return digest[:12]


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Shows what is being done while it is done, on a terminal; elsewhere nothing is shown."""
    if not errors.is_terminal:
        yield lambda _: None
        return
    with errors.status(escape(text)) as status:
        yield lambda message: status.update(escape(message))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is not JSON")
