"""`trapline import`: detections made of what others have written."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trapline.cli.output import as_json, counted, print_json, print_problems, say
from trapline.errors import TraplineError

if TYPE_CHECKING:
    from trapline.author.sigma.importing import Written


@click.group("import")
def import_() -> None:
    """Make detections of other rules."""


@import_.command("sigma")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("detections"),
    show_default=True,
    help="The folder that the detections are written to, each to one of its own.",
)
@click.option("--table", default="aws_cloudtrail", show_default=True, help="The table that they read.")
@click.option("--force", is_flag=True, help="Overwrite detections that are there already.")
@as_json
def sigma(paths: Sequence[Path], into: Path, table: str, force: bool, as_json: bool) -> None:
    """Write a detection for each Sigma rule on CloudTrail in the files and folders PATH.

    What cannot be said exactly is not converted, and is listed with the reason; the rest is, and the exit code is 1.
    """
    if find_spec("sigma") is None:
        raise TraplineError("pySigma is not installed, which reads Sigma rules", remedy="pip install 'trapline[sigma]'")
    from trapline.author.sigma.importing import import_rules

    written, problems = import_rules(paths, into, table=table, force=force)
    failed = sum(problem.severity == "error" for problem in problems)
    if as_json:
        print_json(
            {
                "detections": [_json(one) for one in written],
                "problems": [
                    {
                        "path": problem.path,
                        "line": problem.line,
                        "severity": problem.severity,
                        "code": problem.code,
                        "message": problem.message,
                        "remedy": problem.remedy,
                    }
                    for problem in problems
                ],
            }
        )
    else:
        for one in written:
            say(f"{os.path.relpath(one.folder)}{_remarks(one)}")
        print_problems(problems)
        left = f", {failed} not" if failed else ""
        then = "; then: trapline validate, trapline test" if written else ""
        say(f"{counted(len(written), 'rule')} converted{left}{then}")
    sys.exit(1 if failed else 0)


def _remarks(one: Written) -> str:
    """What whoever merges it should know."""
    remarks = [
        *([] if one.rule.enabled else ["not enabled: see its status"]),
        *([] if one.rule.has_tests else ["without tests: no record could be made up"]),
    ]
    return f" ({'; '.join(remarks)})" if remarks else ""


def _json(one: Written) -> dict[str, object]:
    return {
        "name": one.name,
        "path": str(one.folder),
        "source": one.source,
        "id": one.rule.id or None,
        "title": one.rule.title,
        "enabled": one.rule.enabled,
        "tests": one.rule.has_tests,
    }
