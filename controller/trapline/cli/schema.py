"""`trapline schema`: the JSON Schemas of the config files, for editors."""

from __future__ import annotations

import click

from trapline.author.schema import Subject, schema_of
from trapline.cli.output import print_json
from trapline.delivery.plugins import load_plugins


@click.command()
@click.argument("subject", type=click.Choice([subject.value for subject in Subject]))
def schema(subject: str) -> None:
    """Print the JSON Schema of a config file: `detection` for both formats, `trapline`, `suppressions` or
    `pack`.

    Editors complete and check by it. That of trapline.yml knows the destinations of the plugins that are installed.
    """
    print_json(schema_of(Subject(subject), load_plugins()))
