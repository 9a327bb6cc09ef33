"""`trapline sync`: bring what runs to what git says, now."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from trapline.cli.options import controller_options, in_use
from trapline.cli.output import as_json, print_json, print_outcomes, print_problems, progress, say, short
from trapline.controller import Controller
from trapline.deploy.reconcile import How, Report
from trapline.errors import has_errors
from trapline.options import Options


@click.command()
@controller_options
@click.option("--confirm-prune", is_flag=True, help="Retire what left the repository, even above the cap.")
@click.option("--confirm-rewrite", is_flag=True, help="Follow a rewritten history, though commits are verified.")
@as_json
def sync(options: Options, confirm_prune: bool, confirm_rewrite: bool, as_json: bool) -> None:
    """Look at the repository now and deploy what changed; what failed before is tried again at once.

    Works beside a running controller, which takes its turn. The exit code is 1 where anything needs a person.
    """
    how = How(confirm_prune=confirm_prune, confirm_rewrite=confirm_rewrite, retry_now=True)
    sys.exit(reconcile_and_print(in_use(options), how, as_json=as_json))


def reconcile_and_print(options: Options, how: How, *, as_json: bool, **more: object) -> int:
    """One reconcile, told as text or JSON, which has `more` as well; the exit code."""
    with progress("reconciling") as show, Controller(options, on_progress=show) as running:
        report = running.reconcile(how)
    if as_json:
        print_json(
            {
                **more,
                "revision": report.revision,
                "detections": [asdict(outcome) for outcome in report.outcomes],
                "problems": [asdict(problem) for problem in report.problems],
            }
        )
    else:
        print_problems(report.problems)
        say(f"revision {short(report.revision)}")
        print_outcomes([asdict(outcome) for outcome in report.outcomes])
    return exit_code(report)


def exit_code(report: Report) -> int:
    """1 where anything needs a person, or another try."""
    return 1 if report.count("stalled", "waiting") or has_errors(report.problems) else 0
