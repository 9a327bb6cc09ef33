"""`trapline registry`: packs of detections, for those who write them and those who use them. One file per command."""

from __future__ import annotations

import click

from trapline.cli.lazy import LazyGroup

COMMANDS = ("add", "check", "disable", "enable", "index", "list", "search", "show", "update")


@click.group(cls=LazyGroup, package=__name__, modules=COMMANDS)
def registry() -> None:
    """Packs: detections of others to use, and of your own to share."""
