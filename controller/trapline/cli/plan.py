"""`trapline plan`: what a commit, or a checkout before it is merged, would change."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.filesize import decimal

from trapline.author.change.base import base_of
from trapline.author.change.merge import merged
from trapline.author.change.sides import sides
from trapline.author.checkout import Checkout
from trapline.cli.options import controller_options, in_use
from trapline.cli.output import as_json, console, errors, print_json, print_problems, progress, say, short
from trapline.clock import system_clock
from trapline.controller import Controller
from trapline.deploy.desired import Desired
from trapline.deploy.plan import Action, Actual, Change, prune_problem
from trapline.deploy.survey import files_before
from trapline.errors import Problem, TraplineError, has_errors
from trapline.options import Options
from trapline.run.outlook import Outlook
from trapline.settings import FILE_NAME
from trapline.source.worktree import read_directory

SIGNS = {Action.CREATE: "+", Action.RETIRE: "-", Action.DISABLE: "-", Action.HOLD: "!"}
CHANGES = 3  # the exit code; 2 is wrong usage


@dataclass(frozen=True, slots=True)
class _Planned:
    """What there is to say of a commit or a checkout, which `revision` names for people."""

    desired: Desired
    changes: Sequence[Change]
    bill: Sequence[Outlook]
    problems: Sequence[Problem]
    revision: str


@click.command()
@controller_options
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.option(
    "--base",
    metavar="REVISION",
    help="Compare the checkout with the commit where it left this revision, such as origin/main, without any home.",
)
@as_json
def plan(options: Options, path: Path | None, base: str | None, as_json: bool) -> None:
    """Show what the head of the repository would change, and why; or what the local checkout PATH would, once merged.

    Changes nothing, and builds and tests nothing. Where it would change what a scan of a table reads, that is said too.
    With --base no controller's home is needed, and it is said what the checkout changes of that commit. The exit code
    is 0 where nothing would change, 3 where something would, and 1 where something cannot be deployed, as far as that
    can be seen.
    """
    planned = _of_git(path or Path(), base) if base else _of_home(options, path)
    if as_json:
        print_json(
            {
                "revision": planned.desired.revision,
                "changes": [_json(change) for change in planned.changes],
                "scans": [asdict(one) for one in planned.bill],
                "problems": [asdict(problem) for problem in planned.problems],
            }
        )
    else:
        _print(planned.changes, planned.problems, planned.revision)
        _print_bill(planned.bill)
    held = any(change.action is Action.HOLD for change in planned.changes)
    if held or has_errors(planned.problems):
        sys.exit(1)
    sys.exit(CHANGES if any(change.action is not Action.NOTHING for change in planned.changes) else 0)


def _of_git(path: Path, base: str) -> _Planned:
    checkout = Checkout.around(path)
    found = base_of(checkout, base)
    ends = sides(checkout, found)
    changes, actual = merged(ends, now=system_clock())
    return _planned(ends.head.desired, actual, changes, [], f"merging this (from {short(found.commit)})")


def _of_home(options: Options, path: Path | None) -> _Planned:
    with progress("planning") as show, Controller(in_use(options), on_progress=show) as controller:
        reconciler = controller.reconciler()
        if path:
            root = reconciler.house.root
            tree = read_directory(path.resolve(), root=root).beneath(root)
            if FILE_NAME not in tree.files:
                raise TraplineError(f"{path / root} has no {FILE_NAME}", remedy="name the root of the checkout")
            survey = reconciler.survey_of(tree)
        else:
            survey = reconciler.survey(reconciler.look_up())
        changes = survey.plan(before=files_before(reconciler.house))
        bill = controller.outlook(survey.desired.detections, survey.desired.settings)
    return _planned(survey.desired, survey.actual, changes, bill, str(path) if path else short(survey.desired.revision))


def _planned(
    desired: Desired, actual: Actual, changes: Sequence[Change], bill: Sequence[Outlook], revision: str
) -> _Planned:
    problem = prune_problem(desired, actual)
    return _Planned(desired, changes, bill, [*desired.problems, *([problem] if problem else [])], revision)


def _json(change: Change) -> dict[str, object]:
    return {
        "name": change.name,
        "identity": change.identity,
        "path": change.path,
        "action": change.action.value,
        "reason": change.reason,
        "files": list(change.files),
        "build_digest": change.version.build if change.version else None,
        "deploy_digest": change.version.deploy if change.version else None,
    }


def _print(changes: Sequence[Change], problems: Sequence[Problem], revision: str) -> None:
    held = {change.reason for change in changes if change.action is Action.HOLD}
    print_problems(problem for problem in problems if str(problem) not in held)
    say(f"what {revision} would change:")
    for change in changes:
        if change.action is Action.NOTHING and (not change.reason or change.reason == "enabled: false"):
            continue
        sign = SIGNS.get(change.action, "~") if change.action is not Action.NOTHING else " "
        to = errors if change.action is Action.HOLD else console
        say(f"  {sign} {change.action.value:<12}{change.name}: {change.reason}", to=to)
    counts = Counter(change.action for change in changes)
    told = [
        f"{counts[action]} to {action.value}" for action in Action if counts[action] and action is not Action.NOTHING
    ]
    say(f"{', '.join(told) or 'nothing to do'}; {counts[Action.NOTHING]:,} unchanged")


def _print_bill(bill: Sequence[Outlook]) -> None:
    """Only what would change: who changes nothing need not think of it."""
    for one in bill:
        if one.trouble:
            say(f"what a scan of {one.table} would read is not known: {one.trouble}", to=errors)
        elif one.before != one.after:
            day = f", {decimal(one.after * one.scans_per_day)} a day" if one.after else ""
            say(f"a scan of {one.table} would read at most {_size(one.after)}{day}; now it is {_size(one.before)}")


def _size(bytes: int | None) -> str:
    return "nothing that is known" if bytes is None else decimal(bytes)
