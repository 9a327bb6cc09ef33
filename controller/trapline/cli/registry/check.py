"""`trapline registry check`: whether a pack is fit for others to use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from trapline.author.cases.run import Tested
from trapline.author.checkout import Checkout
from trapline.author.registry.check.gate import Checked
from trapline.author.registry.check.gate import check as checking
from trapline.cli.options import sandbox_options
from trapline.cli.output import as_json, counted, errors, print_json, print_problems, progress, say
from trapline.clock import system_clock
from trapline.detection.model import Detection
from trapline.errors import has_errors

Failed = Sequence[tuple[str, str]]
"""What does not hold: a detection's name, and its case or why it could not be run."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option("--no-tests", is_flag=True, help="Leave out running the tests of the detections.")
@sandbox_options
@as_json
def check(path: Path, no_tests: bool, sandbox: str | None, base_image: str | None, as_json: bool) -> None:
    """Check the pack in PATH: a repository with a pack.yml, or some of its detections.

    Says all that `trapline validate` says, what strangers would miss or stumble over, and which tests fail. The exit
    code is 1 where there is an error or a test fails; warnings are advice.
    """
    checkout = Checkout.around(path)
    found = checking(checkout, env=os.environ, now=system_clock)
    failed = () if no_tests else _failed(checkout, found.detections, sandbox, base_image)
    if as_json:
        print_json(_plain(found, failed))
    else:
        print_problems(found.problems)
        for name, what in failed:
            say(f"FAILED {name}: {what}", to=errors)
        say(_summary(found, failed))
    sys.exit(1 if failed or has_errors(found.problems) else 0)


def _failed(checkout: Checkout, detections: Sequence[Detection], sandbox: str | None, base_image: str | None) -> Failed:
    from trapline.author.cases.round import Round  # knows of all sandboxes, which takes long to load

    asked = Round(os.cpu_count() or 1, sandbox, base_image)
    with progress("building") as on_progress:
        results = asked.run(checkout, detections, on_progress)
    return [(tested.detection.name, what) for tested in results for what in _complaints(tested)]


def _complaints(tested: Tested) -> Iterator[str]:
    if tested.problem:
        yield tested.problem
    for case in tested.cases:
        if case.result.complaint:
            yield f"{case.result.case.name}: {case.result.complaint}"


def _plain(found: Checked, failed: Failed) -> dict[str, object]:
    return {
        "pack": found.manifest.name if found.manifest else None,
        "detections": len(found.detections),
        "problems": [asdict(problem) for problem in found.problems],
        "failed": [{"detection": name, "message": what} for name, what in failed],
    }


def _summary(found: Checked, failed: Failed) -> str:
    wrong = sum(problem.severity == "error" for problem in found.problems)
    advice = len(found.problems) - wrong
    name = found.manifest.name if found.manifest else "the pack"
    parts = (counted(len(found.detections), "detection"), counted(wrong, "error"), counted(advice, "warning"))
    fails = f", {counted(len(failed), 'failure')} of tests" if failed else ""
    verdict = "is not fit to be shared yet" if failed or wrong else "is fit to be shared"
    return f"{name} {verdict}: {', '.join(parts)}{fails}"
