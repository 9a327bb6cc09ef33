"""`trapline validate`: every problem of a repository of detections, or of a part of it, before it is merged."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import click

from trapline import suppressions
from trapline.author.checkout import Checkout, nothing_here
from trapline.author.report import github, sarif
from trapline.cli.output import as_json, counted, print_json, print_problems, say
from trapline.clock import system_clock
from trapline.delivery.destinations import build_destinations, make_tools
from trapline.delivery.plugins import load_plugins
from trapline.deploy.desired import Desired, read_desired
from trapline.errors import Problem, has_errors
from trapline.query.lake import Lake
from trapline.query.where import problems as where_problems
from trapline.settings import FILE_NAME, Settings, SettingsError

_OF_ALL = (FILE_NAME, suppressions.FILE_NAME)


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Look the tables up as the controller of this home does, and check the columns that `where` names.",
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How problems are said: for people, for programs, for code scanning, or as annotations of a GitHub workflow.",
)
@as_json
def validate(path: Path, home: Path | None, shape: str, as_json: bool) -> None:
    """Check PATH: a repository of detections, a folder of them, or one. The exit code is 1 where there is an error.

    Looks for trapline.yml at the repository's root; without one, tables and destinations are not checked.
    """
    checkout = Checkout.around(path)
    found, count = _check(checkout, home)
    problems = sorted(found, key=lambda p: (p.path, p.line, p.column))
    _print(problems, count, "json" if as_json else shape, within=checkout.within)
    sys.exit(1 if has_errors(problems) else 0)


def _print(problems: Sequence[Problem], count: int, shape: str, *, within: Path) -> None:
    """`within` is where the root of the detections lies in what was checked out: that is what others begin from."""
    placed = [replace(problem, path=(within / problem.path).as_posix()) for problem in problems]
    match shape:
        case "json":
            print_json({"detections": count, "problems": [asdict(problem) for problem in problems]})
        case "sarif":
            print_json(sarif(placed))
        case "github":
            for line in github(placed):
                click.echo(line)
        case _:
            print_problems(problems)
            errors = sum(problem.severity == "error" for problem in problems)
            warnings = len(problems) - errors
            say(f"{counted(count, 'detection')}, {counted(errors, 'error')}, {counted(warnings, 'warning')}")


def _check(checkout: Checkout, home: Path | None) -> tuple[list[Problem], int]:
    """The problems of what is asked about, and how many detections that are."""
    tree = checkout.tree
    if FILE_NAME in tree.files:
        try:
            desired = read_desired("", tree.files, fallback=None, env=os.environ, skipped=tree.skipped)
        except SettingsError as error:
            problems, paths = _check_alone(checkout)
            problems += error.problems
        else:
            problems = [*desired.problems, *_destination_problems(desired.settings)]
            problems += desired.suppressions.expired(system_clock())
            if home is not None:
                problems += _column_problems(desired, home)
            paths = [detection.path for detection in desired.detections] + [held.path for held in desired.held]
    else:
        problems, paths = _check_alone(checkout)
    if not paths:
        raise nothing_here()
    count = sum(checkout.asks_about(path) for path in paths)
    return [problem for problem in problems if problem.path in _OF_ALL or checkout.asks_about(problem.path)], count


def _check_alone(checkout: Checkout) -> tuple[list[Problem], list[str]]:
    """The detections by themselves, with the paths of their folders: no tables and destinations to hold them to."""
    loaded = checkout.loaded
    return list(loaded.problems), [detection.path for detection in loaded.detections] + list(loaded.broken)


def _destination_problems(settings: Settings) -> list[Problem]:
    tools = make_tools(system_clock, lambda _: None)
    with tools.http:
        problems = build_destinations(settings, load_plugins(), env=os.environ, tools=tools, ask_aws=False)[1]
    # Whether the secrets are there is a question to the machine that delivers; loading has warned of it.
    return [problem for problem in problems if problem.code != "secret-missing"]


def _column_problems(desired: Desired, home: Path) -> list[Problem]:
    settings = desired.settings
    with closing(Lake(settings, home=home, scope="validate", now=system_clock)) as lake:
        return [problem for one in desired.detections for problem in where_problems(one, lake, settings)]
