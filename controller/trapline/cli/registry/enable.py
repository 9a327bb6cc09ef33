"""`trapline registry enable`: detections of packs turned on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from trapline.author.registry import choose
from trapline.cli.output import progress
from trapline.cli.registry.choosing import print_chosen
from trapline.cli.registry.common import desk_here, path_option


@click.command()
@click.argument("which", nargs=-1, required=True)
@path_option
def enable(which: Sequence[str], path: Path) -> None:
    """Turn detections of packs on, in trapline.yml.

    WHICH is `PACK/NAME`, or a pack and then what of it: names, patterns such as 'iam_*', 'tag:iam', 'attack:t1078'
    (with its sub-techniques), 'severity:high' (and above), or all. What covers several covers also what updates bring.
    """
    with progress("reading packs"):
        desk = desk_here(path)
        chosen = choose.enable(desk, choose.choices(which, desk))
    chosen.desk.save()
    print_chosen(chosen)
