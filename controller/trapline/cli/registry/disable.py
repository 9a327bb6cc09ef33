"""`trapline registry disable`: detections of packs turned off."""

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
def disable(which: Sequence[str], path: Path) -> None:
    """Turn detections of packs off, in trapline.yml.

    WHICH is `PACK/NAME`, or a pack and then what of it: names and patterns, or an entry of its `enable` such as
    'tag:iam'. A detection that another entry still covers is turned off by itself, under `overrides`.
    """
    with progress("reading packs"):
        desk = desk_here(path)
        chosen = choose.disable(desk, choose.choices(which, desk))
    chosen.desk.save()
    print_chosen(chosen)
