"""`trapline registry show`: all that is known of a detection before it is used, and how to use it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import yaml

from trapline.author.registry.find import Hit, named
from trapline.cli.output import as_json, console, print_json, say
from trapline.cli.registry.looking import Looked, look, looking_options, plain
from trapline.config.words import did_you_mean
from trapline.errors import TraplineError
from trapline.settings import FILE_NAME, Settings
from trapline_plugins.text import lines, one_line

_UNDERSTOOD = {
    "all": "all of it: no record is brought to it that it cannot match",
    "part": "part of it: few records are brought to it that it cannot match",
    "none": "none of it: all records are brought to it",
}


@click.command()
@click.argument("name")
@looking_options
@as_json
def show(name: str, path: Path, offline: bool, as_json: bool) -> None:
    """Show all that the indexes say of the detection NAME, or PACK/NAME, and how to use it.

    Where several packs have one of that name, all are shown.
    """
    looked = look(path, offline=offline)
    hits = named(looked.indexes, name)
    if not hits:
        raise _unknown(name, looked)
    if as_json:
        print_json([plain(hit) for hit in hits])
        return
    looked.tell()
    for number, hit in enumerate(hits):
        if number:
            console.print()
        _print(hit, looked.settings)


def _unknown(name: str, looked: Looked) -> TraplineError:
    looked.tell()
    known = [entry.name for index in looked.indexes for entry in index.detections]
    remedy = f"{did_you_mean(name.rpartition('/')[2], known)} `trapline registry search` shows what there is".strip()
    return TraplineError(f"no index has a detection {name!r}", remedy=remedy)


def _print(hit: Hit, settings: Settings) -> None:
    console.print(one_line(hit.name), style="bold", markup=False, highlight=False, end="")
    say(f"  {one_line(hit.entry.display_name)}")
    for line in lines(hit.entry.description):
        say(f"  {line}")
    console.print()
    for label, value in _facts(hit):
        if value:
            say(f"{label:<13}{one_line(value)}")
    console.print("\nto use it", style="bold")
    for line in _use(hit, settings):
        say(f"  {line}" if line else "")


def _facts(hit: Hit) -> Iterator[tuple[str, str]]:
    entry, pack, quality = hit.entry, hit.pack, hit.entry.quality
    yield "severity", entry.severity
    yield "ATT&CK", ", ".join(entry.attack)
    yield "tags", ", ".join(entry.tags)
    for table in entry.tables:
        described = pack.tables.get(table)
        yield "table", f"{table}: {described}" if described else table
    yield "runs", f"{_how(hit)}{', in real time' if entry.realtime else ''}"
    yield "requirements", ", ".join(entry.requirements)
    yield "tests", f"{quality.tests}: {quality.finds} of what it finds, {quality.leaves} of what it leaves alone"
    yield "understood", _UNDERSTOOD[quality.understood]
    yield "runbook", "yes" if quality.runbook else "no"
    for reference in entry.references:
        yield "reference", reference
    yield "digest", entry.digest
    yield "pack", f"{pack.title}{f', by {authors}' if (authors := ', '.join(pack.authors)) else ''}"
    yield "homepage", pack.homepage or ""
    yield "licence", entry.license
    yield "source", pack.source or ""
    yield "revision", pack.revision or ""


def _how(hit: Hit) -> str:
    kind = "on each record" if hit.entry.mode == "record" else "on all records of a window at once"
    return f"{kind}, {hit.entry.schedule}" if hit.entry.schedule else kind


def _use(hit: Hit, settings: Settings) -> Iterator[str]:
    """Commands and lines that are safe to copy, whatever an index says."""
    pack = hit.pack
    added = next((name for name, one in settings.packs.items() if one.source == pack.source), None)
    if added is not None:
        yield f"trapline registry enable {shlex.quote(f'{added}/{hit.entry.name}')}"
        return
    if pack.source is None or pack.revision is None:
        yield "its index does not say where the pack can be had: ask its makers"
        return
    entry = {"source": pack.source, "revision": pack.revision, "root": pack.root, "enable": [hit.entry.name]}
    said = {"packs": {pack.name: {key: value for key, value in entry.items() if value}}}
    options = ["--name", pack.name, "--revision", pack.revision, *(["--root", pack.root] if pack.root else [])]
    yield shlex.join(["trapline", "registry", "add", pack.source, *options, "--enable", hit.entry.name])
    yield ""
    yield f"or write into {FILE_NAME}:"
    yield ""
    yield from yaml.safe_dump(said, sort_keys=False, width=1000).splitlines()
    missing = [one_line(table) for table in hit.entry.tables if table not in settings.tables]
    if missing:
        yield ""
        yield f"and beneath `{pack.name}`, under `tables:`, what is called otherwise here: {', '.join(missing)}"
