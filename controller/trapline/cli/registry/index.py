"""`trapline registry index`: what a pack has, as a file that others can search."""

from __future__ import annotations

from pathlib import Path

import click

from trapline.author.checkout import Checkout, nothing_here
from trapline.author.registry.describe import index_of
from trapline.author.registry.index import read, written
from trapline.author.registry.origin import origin_of
from trapline.cli.output import counted, print_problems, say, write_file
from trapline.errors import TraplineError
from trapline.packs.manifest import load


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; else it is printed."
)
@click.option("--source", help="The URL that others can have the pack from; of the remote `origin` if not given.")
@click.option("--revision", help="The commit that has what is here; HEAD if not given.")
def index(path: Path, output: Path | None, source: str | None, revision: str | None) -> None:
    """Write the index of the pack in PATH: a JSON file that is the same for the same commit.

    Put it where others can fetch it, such as a release or a web page: they name it under `registries:`.
    """
    checkout = Checkout.around(path)
    manifest, warnings = load(checkout.tree.files)
    print_problems(warnings)
    if broken := checkout.loaded.broken:
        print_problems(problem for problems in broken.values() for problem in problems)
        said = f"{counted(len(broken), 'detection')} cannot be loaded"
        raise TraplineError(said, remedy="mend what is said above; `trapline registry check` says all of it")
    detections = checkout.loaded.detections
    if not detections:
        raise nothing_here()
    origin = origin_of(checkout, source=source, revision=revision)
    made = index_of(manifest, detections, source=origin.source, revision=origin.revision, root=origin.root)
    text = written(made)
    read(text.encode(), f"of {made.pack.name}")
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(text.rstrip("\n"), output, option="--output")
        say(f"{output}: {made.pack.name}, {counted(len(made.detections), 'detection')}")
