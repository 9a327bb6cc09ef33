"""`trapline resume`: one detection follows git again."""

from __future__ import annotations

import sys

import click

from trapline.cli.options import controller_options, in_use
from trapline.cli.output import as_json, say
from trapline.cli.sync import reconcile_and_print
from trapline.clock import system_clock
from trapline.controller import Controller
from trapline.deploy.ledger import find
from trapline.deploy.overrides import Kind
from trapline.deploy.reconcile import How
from trapline.options import Options


@click.command()
@controller_options
@click.argument("name")
@as_json
def resume(options: Options, name: str, as_json: bool) -> None:
    """Let the detection NAME go on.

    Ends its quarantine; where there is none, a suspension and a rollback's pin, so that it follows git again.
    """
    with Controller(in_use(options)) as controller:
        found = find(controller.ledger, name)
        quarantined = found.identity in controller.overrides.all(Kind.QUARANTINED)
        kinds = (Kind.QUARANTINED,) if quarantined else tuple(Kind)  # a pin is what it was before, and stays
        released = controller.overrides.release(found.identity, kinds, now=system_clock())
    if not as_json:
        told = " and ".join(f"no longer {kind.value}" for kind in released)
        say(f"{found.name} is {told}" if told else f"{found.name} was neither quarantined, suspended nor pinned")
    how = How(fetch=False, retry_now=True, only=found.identity)
    sys.exit(reconcile_and_print(options, how, as_json=as_json, released=[kind.value for kind in released]))
