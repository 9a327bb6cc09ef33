"""`trapline registry search`: detections of the official pack, and of all indexes that trapline.yml names."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trapline.author.registry.find import Wanted
from trapline.author.registry.find import search as searching
from trapline.cli.output import as_json, counted, print_json, print_table, say, severity_text
from trapline.cli.registry.looking import look, looking_options, plain
from trapline.detection.model import Severity


@click.command()
@click.argument("words", nargs=-1)
@click.option("--tag", "tags", multiple=True, help="Only those with this tag, or one of several.")
@click.option("--attack", multiple=True, metavar="ID", help="Only those about this tactic or technique of ATT&CK.")
@click.option("--severity", type=click.Choice([one.value for one in Severity]), help="Only those that are at least so.")
@click.option("--table", "tables", multiple=True, help="Only those that read this table.")
@looking_options
@as_json
def search(
    words: tuple[str, ...],
    tags: tuple[str, ...],
    attack: tuple[str, ...],
    severity: str | None,
    tables: tuple[str, ...],
    path: Path,
    offline: bool,
    as_json: bool,
) -> None:
    """Search for detections that have all WORDS in their name, tags, ids of ATT&CK, tables or description.

    Looks through the official pack and the indexes under `registries:` in trapline.yml. An index that cannot be had is
    looked through as it was fetched before; the exit code is 1 where it never was.
    """
    looked = look(path, offline=offline)
    wanted = Wanted(tags, attack, Severity(severity) if severity else None, tables)
    hits = searching(looked.indexes, words, wanted)
    if as_json:
        print_json({"indexes": looked.plain(), "detections": [plain(hit) for hit in hits]})
    else:
        looked.tell()
        print_table(
            ("DETECTION", "SEVERITY", "ATT&CK", "TABLES", "WHAT IT FINDS"),
            (
                (
                    hit.name,
                    severity_text(hit.entry.severity),
                    ", ".join(hit.entry.attack),
                    ", ".join(hit.entry.tables),
                    hit.entry.display_name,
                )
                for hit in hits
            ),
            empty="nothing found",
        )
        if hits:
            say(f"{counted(len(hits), 'detection')}; `trapline registry show NAME` says all of one", style="dim")
    sys.exit(0 if looked.whole else 1)
