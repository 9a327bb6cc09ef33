"""`trapline validate`: every problem of a repository of detections, or of a part of it, before it is merged."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from trapline.author.checkout import Checkout
from trapline.author.validation import validate as validating
from trapline.author.validation.report import github, gitlab, sarif
from trapline.author.validation.validate import Validated, in_order
from trapline.cli.options import sandbox_options
from trapline.cli.output import as_json, counted, print_json, print_problems, progress, say
from trapline.clock import system_clock
from trapline.errors import Problem, has_errors


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Look the tables up as the controller of this home does, and check the columns that rules, tests and `where` "
    "name. Without it, that is done for the tables that Trapline itself makes.",
)
@click.option("--resolve", is_flag=True, help="Ask the package index whether all requirements can be had.")
@sandbox_options
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "sarif", "github", "gitlab"]),
    default="text",
    show_default=True,
    help="How problems are said: for people, programs, code scanning, a workflow of GitHub, or a job of GitLab.",
)
@as_json
def validate(
    path: Path,
    home: Path | None,
    resolve: bool,
    sandbox: str | None,
    base_image: str | None,
    shape: str,
    as_json: bool,
) -> None:
    """Check PATH: a repository of detections, a folder of them, or one. The exit code is 1 where there is an error.

    Looks for trapline.yml at the repository's root; without one, tables and destinations are not checked. The sandbox
    is that for whose Python `--resolve` looks packages up.
    """
    checkout = Checkout.around(path)
    found = validating.validate(checkout, home=home, env=os.environ, now=system_clock)
    if resolve:
        found = _resolved(found, checkout, sandbox, base_image)
    _print(found, "json" if as_json else shape, within=checkout.within, resolved=resolve)
    sys.exit(1 if has_errors(found.problems) else 0)


def _resolved(found: Validated, checkout: Checkout, sandbox: str | None, base_image: str | None) -> Validated:
    """With what the package index says of the requirements."""
    from trapline.author.validation.locking import (  # knows of all sandboxes, which takes long to load
        locker,
        unresolved,
    )

    wanted = [detection for detection in found.detections if detection.requirements.strip()]
    if not wanted:
        return found
    with (
        progress("resolving requirements"),
        locker(checkout.settings, sandbox=sandbox, base_image=base_image) as resolving,
    ):
        return replace(found, problems=in_order([*found.problems, *unresolved(wanted, resolving)]))


def _print(found: Validated, shape: str, *, within: Path, resolved: bool) -> None:
    """`within` is where the root of the detections lies in what was checked out: that is what others begin from."""
    match shape:
        case "json":
            plain = [asdict(problem) for problem in _placed(found.problems, within)]
            print_json({"detections": found.count, "problems": plain})
        case "sarif":
            print_json(sarif(_placed(found.problems, within)))
        case "gitlab":
            print_json(gitlab(_placed(found.problems, within)))
        case "github":
            for line in github(_placed(found.problems, within)):
                click.echo(line)
        case _:
            print_problems(found.problems)
            say(_summary(found))
            if found.unlocked and not resolved:
                say(f"the requirements of {counted(len(found.unlocked), 'detection')} were not resolved: see --resolve")


def _placed(problems: Iterable[Problem], within: Path) -> Sequence[Problem]:
    return [replace(problem, path=(within / problem.path).as_posix()) for problem in problems]


def _summary(found: Validated) -> str:
    errors = sum(problem.severity == "error" for problem in found.problems)
    parts = (counted(found.count, "detection"), counted(errors, "error"))
    return ", ".join((*parts, counted(len(found.problems) - errors, "warning")))
