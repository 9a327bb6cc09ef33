"""`trapline coverage`: which techniques of MITRE ATT&CK the detections of a repository are about."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap

import click

from trapline.author.attack import platforms, version
from trapline.author.checkout import Checkout
from trapline.author.coverage.layer import as_layer
from trapline.author.coverage.matrix import Matrix, Place, Tactic, matrix_of
from trapline.author.coverage.plain import as_plain, names
from trapline.author.packs import packs_of
from trapline.author.validation.advice.reports import attack_ids
from trapline.author.validation.advice.subject import Subject
from trapline.author.validation.validate import in_order
from trapline.cli.output import as_json, console, counted, json_text, print_json, print_problems, say, write_file
from trapline.errors import has_errors

_ID_WIDTH = len("T1078.004")
_INDENT = _ID_WIDTH + 4


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option(
    "--platform",
    type=click.Choice(platforms()),
    multiple=True,
    default=["IaaS"],
    show_default=True,
    help="Count the techniques of this platform, as ATT&CK has them; can be repeated.",
)
@click.option(
    "--navigator",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True, writable=True),
    help="Write a layer for MITRE's ATT&CK Navigator to this file; - prints it, and nothing else.",
)
@as_json
def coverage(path: Path, platform: Sequence[str], navigator: Path | None, as_json: bool) -> None:
    """Show which techniques of MITRE ATT&CK the detections of PATH are about: of a repository with those of the packs
    that it uses, of a folder of it, or one.

    What counts are the ids under `reports.attack` of those that are enabled. A technique is covered where a detection
    names it or one of its sub-techniques. That somebody looks for it does not mean that nothing of it is missed.

    The exit code is 1 where a detection cannot be loaded, or an id is none. Ids that are wrong in other ways are
    warnings; neither counts.
    """
    printed = navigator == Path("-")
    if as_json and printed:
        raise click.UsageError("--json and --navigator - both print: name a file for the layer")
    checkout = Checkout.around(path)
    packs = [] if checkout.folder else packs_of(checkout)(checkout.settings, checkout.tree.files)
    used = [detection for pack in packs for detection in pack.used]
    detections = [*(checkout.asked.detections if used else checkout.detections), *used]
    matrix = matrix_of(detections, platforms=platform)
    ids = (problem for detection in detections for problem in attack_ids(Subject.of(detection)))
    problems = in_order([*checkout.broken, *(problem for pack in packs for problem in pack.problems), *ids])
    if navigator and not printed:
        write_file(json_text(as_layer(matrix)), navigator, option="--navigator")
    if as_json:
        print_json({**as_plain(matrix), "problems": [asdict(problem) for problem in problems]})
    else:
        print_problems(problems)
        if printed:
            print_json(as_layer(matrix))
        else:
            _print(matrix)
            if navigator:
                say(f"the layer is in {navigator}")
    sys.exit(1 if has_errors(problems) else 0)


def _print(matrix: Matrix) -> None:
    for tactic in matrix.tactics:
        _print_tactic(tactic)
    _print_totals(matrix)


def _print_tactic(tactic: Tactic) -> None:
    covered = f"{len(tactic.covered)} of {counted(len(tactic.possible), 'technique')}"
    others = f", {counted(len(tactic.others), 'other')}" if tactic.others else ""
    by = f", by {counted(len(tactic.enabled), 'detection')}" if tactic.enabled else ""
    console.print(f"{tactic.itself.name} ({tactic.itself.id})", style="bold" if by else "dim", end="")
    say(f"  {covered}{others}{by}", style="" if by else "dim")
    if tactic.itself.detections:
        say("  no technique named")
        _print_detections(tactic.itself)
    for one in tactic.techniques:
        say(f"  {one.id:<{_ID_WIDTH}}  {one.name}")
        _print_detections(one)


def _print_detections(place: Place) -> None:
    """Below a technique, as wide as a terminal is; in a pipe on one line."""
    disabled = [f"{one.name} (disabled)" for one in place.disabled]
    shown = ", ".join([*names(place.enabled), *disabled])
    for line in wrap(shown, console.width - _INDENT, break_long_words=False, break_on_hyphens=False):
        say(f"{' ' * _INDENT}{line}", style="" if place.enabled else "dim")


def _print_totals(matrix: Matrix) -> None:
    enabled = [one for one in matrix.detections if one.config.enabled]
    disabled = [one for one in matrix.detections if not one.config.enabled]
    tactics = sum(bool(one.enabled) for one in matrix.tactics)
    say("")
    say(f"{counted(len(enabled), 'enabled detection')}, in {tactics} of {counted(len(matrix.tactics), 'tactic')}")
    on = " and ".join(matrix.platforms)
    of = f"{len(matrix.covered)} of {counted(len(matrix.possible), 'technique')} on {on} covered"
    others = f", and {len(matrix.others)} that ATT&CK has on other platforms alone" if matrix.others else ""
    say(f"{of}{others} (ATT&CK {version()})")
    if matrix.silent:
        say(f"without an id of ATT&CK: {', '.join(names(matrix.silent))}")
    if disabled:
        say(f"disabled, and not counted: {', '.join(names(disabled))}")
