"""`trapline test`: the tests of detections, run as a deployment would run them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from trapline.author.checkout import Checkout
from trapline.author.junit import junit
from trapline.author.testing import Tested, Wanted, one_sided, run_tests
from trapline.author.workshop import workshop
from trapline.cli.options import sandbox_options
from trapline.cli.output import as_json, console, counted, errors, print_json, print_problems, progress, say
from trapline.clock import system_clock
from trapline.detection.model import Detection, TestCase
from trapline.detection.parse import read_config
from trapline.errors import Problem

_LOG_LINES = 20


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option("--filter", "words", metavar="TEXT", default="", help="Only cases with this in their detection or name.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="How the results are said: for people, for programs, or as JUnit's XML for a CI.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="processors", help="Detections at once."
)
@sandbox_options
@as_json
def test(
    path: Path, words: str, shape: str, jobs: int, sandbox: str | None, base_image: str | None, as_json: bool
) -> None:
    """Run the tests of the detections in PATH: a repository, a folder of it, or one detection.

    Each runs in what would be deployed of it, with its locked requirements, in the same sandbox. The exit code is 1
    where a test fails, or a detection does not load or build.
    """
    checkout = Checkout.around(path)
    detections, broken = checkout.detections, checkout.broken
    start = perf_counter()
    with (
        progress("building") as on_progress,
        workshop(checkout, sandbox=sandbox, base_image=base_image, now=system_clock, on_progress=on_progress) as place,
    ):
        results = list(run_tests(detections, place, wanted=_wanted(words), at_once=jobs))
        if not words and not checkout.folder:
            place.keep([tested.build for tested in results if tested.build])
    shape = "json" if as_json else shape
    if shape == "text":
        _print(results, detections, seconds=perf_counter() - start)
    elif shape == "json":
        print_json([_plain(tested) for tested in results])
    else:
        click.echo(junit(results))
    print_problems(broken)
    sys.exit(1 if broken or any(tested.failed for tested in results) else 0)


def _wanted(words: str) -> Wanted:
    def wanted(detection: Detection, case: TestCase) -> bool:
        return words.lower() in f"{detection.name} {case.name}".lower()

    return wanted


def _print(results: Sequence[Tested], detections: Sequence[Detection], *, seconds: float) -> None:
    for tested in results:
        if tested.failed:
            _print_failed(tested)
    for detection in detections:
        if missing := one_sided(detection):
            place = f"{detection.path}/{detection.config_file}"
            print_problems([Problem(place, 0, "warning", "one-sided-tests", f"{detection.name}: {missing}")])
    cases = [case for tested in results for case in tested.cases]
    failed = sum(bool(case.result.complaint) for case in cases)
    stopped = sum(bool(tested.problem) for tested in results)
    hold = f"{len(cases) - failed:,} of {counted(len(cases), 'case')} {'holds' if len(cases) == 1 else 'hold'}"
    said = [counted(len(results), "detection"), hold]
    if stopped:
        said.append(f"{counted(stopped, 'detection')} could not be run")
    style = "bold red" if failed or stopped else "green"
    say(f"{', '.join(said)}, in {seconds:.1f} s", style=style)


def _print_failed(tested: Tested) -> None:
    detection = tested.detection
    file = f"{detection.path}/{detection.config_file}"
    if tested.problem:
        console.print("FAILED ", style="bold red", end="")
        say(f"{detection.name}: {tested.problem}")
    lines = _lines(detection)
    for case in tested.cases:
        result = case.result
        if result.complaint:
            console.print("FAILED ", style="bold red", end="")
            say(f"{file}:{lines[detection.config.tests.index(result.case)]}: {result.case.name}")
            say(f"       {result.complaint}")
            for line in result.log.splitlines()[:_LOG_LINES]:
                say(f"       | {line}", to=errors)


def _lines(detection: Detection) -> list[int]:
    """The line that each case begins at."""
    file = f"{detection.path}/{detection.config_file}"
    document, _, _ = read_config(file, detection.files[detection.config_file].content)
    return [document.place(("tests", index))[0] for index in range(len(detection.config.tests))]


def _plain(tested: Tested) -> dict[str, Any]:
    lines = _lines(tested.detection)
    return {
        "detection": tested.detection.name,
        "path": tested.detection.path,
        "problem": tested.problem or None,
        "cases": [
            {
                "name": case.result.case.name,
                "line": lines[tested.detection.config.tests.index(case.result.case)],
                "holds": case.result.complaint is None,
                "complaint": case.result.complaint,
                "printed": case.result.log,
                "seconds": round(case.seconds, 4),
            }
            for case in tested.cases
        ],
    }
