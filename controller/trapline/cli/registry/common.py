"""What the commands of `trapline registry` share that concern the packs of trapline.yml."""

from __future__ import annotations

from pathlib import Path

import click

from trapline.author.checkout import Checkout
from trapline.author.registry.desk import Desk

NEXT = "commit trapline.yml and merge it: it is deployed from there"
NO_PACKS = "trapline.yml names no packs; add one with `trapline registry add`"

path_option = click.option(
    "--path",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="this folder",
    help="The detections repository, or a folder of it.",
)


def desk_here(path: Path) -> Desk:
    """The packs of the checkout around a folder. Raises SettingsError."""
    return Desk.of(Checkout.around(path))
