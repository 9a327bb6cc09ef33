"""`trapline registry list`: the packs of a checkout, and how they stand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from trapline.author.registry.standing import Standing, standings
from trapline.cli.output import as_json, counted, errors, print_json, print_table, progress, say, short
from trapline.cli.registry.common import NO_PACKS, desk_here, path_option
from trapline.source.remote import redact


@click.command("list")
@click.option("--check", is_flag=True, help="Ask their sources how far the packs have moved on.")
@path_option
@as_json
def list_(check: bool, path: Path, as_json: bool) -> None:
    """List the packs of trapline.yml: what they are pinned to, and how many of their detections run.

    The exit code is 1 where one cannot be read, or its source cannot be asked. Without --check nobody is asked, and a
    pack that was not fetched on this machine yet is not read.
    """
    with progress("looking at packs"):
        found = list(standings(desk_here(path), ask=check))
    if as_json:
        print_json([_plain(one) for one in found])
    else:
        print_table(
            ("PACK", "SOURCE", "PINNED TO", "RUN", "LICENCE", *(["NEWER"] if check else [])),
            (
                (
                    one.name,
                    redact(one.pack.source),
                    short(one.pack.revision),
                    _used(one),
                    one.manifest.license if one.manifest else "-",
                    *([_newer(one)] if check else []),
                )
                for one in found
            ),
            empty=NO_PACKS,
        )
        for one in found:
            if one.problem:
                say(f"{one.name}: {one.problem}", to=errors, style="yellow")
    sys.exit(1 if any(one.problem for one in found) else 0)


def _used(one: Standing) -> str:
    if one.contents is None:
        return "not read"
    broken = f", {len(one.contents.broken)} broken" if one.contents.broken else ""
    return f"{len(one.contents.used)} of {len(one.contents.detections)}{broken}"


def _newer(one: Standing) -> str:
    if not one.tip:
        return "-"
    if one.tip == one.pack.revision:
        return "no"
    if one.behind is None:
        return short(one.tip) if one.pack.is_builtin else f"{short(one.tip)}, which does not follow the pin"
    return f"{short(one.tip)}, {counted(one.behind, 'commit')}"


def _plain(one: Standing) -> dict[str, Any]:
    return {
        "name": one.name,
        "source": redact(one.pack.source),
        "revision": one.pack.revision,
        "detections": None if one.contents is None else len(one.contents.detections),
        "used": None if one.contents is None else sorted(detection.name for detection in one.contents.used),
        "broken": None if one.contents is None else len(one.contents.broken),
        "license": one.manifest.license if one.manifest else None,
        "tip": one.tip or None,
        "behind": one.behind,
        "problem": str(one.problem) if one.problem else None,
    }
