"""`trapline rollback`: an earlier version of one detection, until it is released."""

from __future__ import annotations

import sys
from itertools import dropwhile

import click

from trapline.cli.options import controller_options, in_use
from trapline.cli.output import as_json, say, short
from trapline.cli.sync import reconcile_and_print
from trapline.clock import system_clock
from trapline.controller import Controller
from trapline.deploy.ledger import Event, Ledger, Sync, find
from trapline.deploy.overrides import Kind, Override
from trapline.deploy.reconcile import How
from trapline.deploy.survey import detection_at
from trapline.errors import TraplineError
from trapline.options import Options


@click.command()
@controller_options
@click.argument("name")
@click.option("--to", "digest", default="", help="The version, as `trapline history NAME` shows it.")
@click.option("--reason", default="", help="Why, for whoever reads the status.")
@as_json
def rollback(options: Options, name: str, digest: str, reason: str, as_json: bool) -> None:
    """Make an earlier version of the detection NAME live, by default the one before, whatever git says.

    It stays so, and `trapline status` shows it, until `trapline resume NAME`. Needs no answer from the repository.
    """
    with Controller(in_use(options)) as controller:
        identity = find(controller.ledger, name).identity
        version = _version(controller.ledger, identity, name, digest)
        _check_possible(controller, identity, name, version)
        override = Override(
            identity,
            Kind.PINNED,
            system_clock(),
            reason,
            revision=version.revision,
            path=version.path,
            deploy_digest=version.deploy_digest,
        )
        controller.overrides.decide(override)
    if not as_json:
        say(f"{name} is pinned to {short(version.deploy_digest)} of revision {short(version.revision)}")
    how = How(fetch=False, retry_now=True, only=identity)
    sys.exit(reconcile_and_print(options, how, as_json=as_json, pinned=version.deploy_digest))


def _check_possible(controller: Controller, identity: str, name: str, version: Event) -> None:
    """A pin that could not be carried out would be no rollback. Raises TraplineError."""
    if controller.ledger.statuses()[identity].sync in (Sync.RETIRED, Sync.DISABLED):
        raise TraplineError(f"git no longer has {name} on", remedy="turn it on in the repository, and merge")
    if detection_at(controller.reconciler().house, version.revision, version.path) is None:
        raise TraplineError(
            f"version {short(version.deploy_digest)} of {name} cannot be read any more: its commit "
            f"{short(version.revision)} is not in the mirror",
            remedy=f"choose another one of `trapline history {name}`, or bring it back in git",
        )


def _version(ledger: Ledger, identity: str, name: str, digest: str) -> Event:
    versions = ledger.versions(identity)
    live = ledger.deployments().get(identity)
    if not digest:
        older = list(dropwhile(lambda version: live and version.deploy_digest != live.deploy_digest, versions))
        earlier = older[1:] if live else older
        if not earlier:
            raise TraplineError(
                f"{name} has no earlier version than the one that is live", remedy=f"see `trapline history {name}`"
            )
        return earlier[0]
    found = [
        version
        for version in versions
        if digest in (version.deploy_digest[: len(digest)], version.build_digest[: len(digest)])
    ]
    if len({version.deploy_digest for version in found}) == 1:
        return found[0]
    known = ", ".join(short(version.deploy_digest) for version in versions)
    problem = f"{digest} is the beginning of several versions of {name}" if found else f"{name} has no version {digest}"
    raise TraplineError(problem, remedy=f"use one of: {known}" if known else f"see `trapline history {name}`")
