"""`trapline test`: the tests of detections, run as a deployment would run them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import click

from trapline.author.cases.coverage import Covered, covered, percent, ranges, shown, too_little
from trapline.author.cases.junit import junit
from trapline.author.cases.results import Places, plain, said
from trapline.author.cases.round import Round, watched
from trapline.author.cases.run import Tested, one_sided
from trapline.author.checkout import Checkout
from trapline.cli.options import sandbox_options
from trapline.cli.output import (
    as_json,
    console,
    counted,
    errors,
    print_error,
    print_json,
    print_problems,
    print_table,
    progress,
    say,
)
from trapline.clock import system_clock
from trapline.detection.model import Detection
from trapline.errors import Problem, TraplineError
from trapline_plugins.text import cut

_LOG_LINES, _LOG_WIDTH = 20, 500
_FILES_NAMED = 3


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option("--filter", "words", metavar="TEXT", default="", help="Only cases with this in their detection or name.")
@click.option("--failed", "only_failed", is_flag=True, help="Only cases that failed when they last ran.")
@click.option("--failed-first", is_flag=True, help="Those that failed when they last ran before all others.")
@click.option("--watch", is_flag=True, help="Go on: run again what a save concerns, until you interrupt it.")
@click.option("--coverage", is_flag=True, help="Say which lines of the detections' own files the cases run.")
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail where the cases of a detection run less of its lines than this; with --coverage.",
)
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
    path: Path,
    words: str,
    only_failed: bool,
    failed_first: bool,
    watch: bool,
    coverage: bool,
    min_coverage: float | None,
    shape: str,
    jobs: int,
    sandbox: str | None,
    base_image: str | None,
    as_json: bool,
) -> None:
    """Run the tests of the detections in PATH: a repository, a folder of it, or one detection.

    Each runs in what would be deployed of it, with its locked requirements, in the same sandbox. The exit code is 1
    where a test fails, a detection does not load or build, or the coverage is too low.
    """
    shape = "json" if as_json else shape
    coverage = coverage or min_coverage is not None
    asked = Round(jobs, sandbox, base_image, words, only_failed, failed_first, coverage)
    if watch:
        if shape != "text":
            raise click.UsageError("--watch is for people: leave --format and --json out")
        _watch(path, asked, min_coverage)
        return
    checkout = Checkout.around(path)
    of_packs_alone = not (checkout.folder or checkout.asked.detections) and any(
        pack.enable for pack in checkout.settings.packs.values()
    )
    if of_packs_alone:
        say("there are none of your own here; those of packs are tested before they are deployed", to=errors)
    detections = checkout.asked.detections if of_packs_alone else checkout.detections
    holds = _run(checkout, detections, asked, shape, min_coverage)
    sys.exit(0 if holds else 1)


def _watch(path: Path, asked: Round, min_coverage: float | None) -> None:
    try:
        for saved in watched(path):
            _print_saved(saved.files)
            try:
                _run(saved.checkout, saved.concerned, asked, "text", min_coverage)
            except TraplineError as error:
                print_error(error)
    except KeyboardInterrupt:
        console.print()


def _run(
    checkout: Checkout, detections: Sequence[Detection], asked: Round, shape: str, min_coverage: float | None
) -> bool:
    """Whether all is as it should be."""
    start = perf_counter()
    with progress("building") as on_progress:
        results = asked.run(checkout, detections, on_progress)
    if shape == "text":
        _print(results, detections, asked, seconds=perf_counter() - start)
    elif shape == "json":
        print_json([plain(tested, coverage=asked.coverage) for tested in results])
    else:
        click.echo(junit(results))
    short = too_little(results, min_coverage or 0)
    for text in short:
        say(text, to=errors, style="bold red")
    print_problems(checkout.broken)
    return not (short or checkout.broken or any(tested.failed for tested in results))


def _print_saved(files: Sequence[str]) -> None:
    more = f" and {counted(len(files) - _FILES_NAMED, 'file')} more" if len(files) > _FILES_NAMED else ""
    what = f"{', '.join(files[:_FILES_NAMED])}{more} saved" if files else "watching; interrupt with ^C"
    say(f"{system_clock().astimezone():%H:%M:%S} {what}", style="bold")


def _print(results: Sequence[Tested], detections: Sequence[Detection], asked: Round, *, seconds: float) -> None:
    if asked.only_failed and not results:
        say("no case failed when it last ran")
        return
    for tested in results:
        if tested.failed:
            _print_failed(tested)
    for detection in detections:
        if missing := one_sided(detection):
            place = f"{detection.path}/{detection.config_file}"
            print_problems([Problem(place, 0, "warning", "one-sided-tests", f"{detection.name}: {missing}")])
    if asked.coverage:
        _print_coverage([file for tested in results for file in covered(tested)])
    cases = [case for tested in results for case in tested.cases]
    failed = sum(bool(case.result.complaint) for case in cases)
    stopped = sum(bool(tested.problem) for tested in results)
    hold = f"{len(cases) - failed:,} of {counted(len(cases), 'case')} {'holds' if len(cases) == 1 else 'hold'}"
    told = [counted(len(results), "detection"), hold]
    if stopped:
        told.append(f"{counted(stopped, 'detection')} could not be run")
    style = "bold red" if failed or stopped else "green"
    say(f"{', '.join(told)}, in {seconds:.1f} s", style=style)


def _print_failed(tested: Tested) -> None:
    if tested.problem:
        console.print("FAILED ", style="bold red", end="")
        say(f"{tested.detection.name}: {tested.problem}")
    places = Places(tested.detection)
    for case in tested.cases:
        result = case.result
        if result.complaints:
            console.print("FAILED ", style="bold red", end="")
            say(f"{places.file}:{places.line(result.case)}: {result.case.name}")
            for complaint in result.complaints:
                for line in said(complaint, places, result.case):
                    say(f"       {line}")
            for line in result.log.splitlines()[:_LOG_LINES]:
                say(f"       | {cut(line, _LOG_WIDTH)}", to=errors)


def _print_coverage(files: Sequence[Covered]) -> None:
    rows = [[file.path, str(file.lines), shown(file.percent), ranges(file.missing)] for file in files if file.missing]
    if rows:
        print_table(["file", "lines", "run", "missing"], rows, empty="")
    whole = len(files) - len(rows)
    lines = counted(sum(file.lines for file in files), "line")
    say(f"coverage: {shown(percent(files))} of {lines}; {whole:,} of {counted(len(files), 'file')} run whole")
