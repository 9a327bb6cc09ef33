"""Reconciles to be killed: `python -m tests.reliability.driver HOME REPOSITORY SANDBOX BASE_IMAGE`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.reliability.forks import Order, Steps, serve
from trapline.controller import Controller
from trapline.deploy.build import Builder
from trapline.deploy.ledger import Ledger
from trapline.deploy.memory import Memory
from trapline.deploy.survey import Survey
from trapline.options import Options
from trapline.source.git import Mirror
from trapline.state.database import Database
from trapline.workers.backends.container import Container
from trapline.workers.backends.docker import DockerBackend
from trapline.workers.backends.process import ProcessBackend

STEPS: Steps = {
    "fetch": ((Mirror, "fetch"),),
    "read": ((Mirror, "read"),),
    "plan": ((Survey, "plan"),),
    "build": ((ProcessBackend, "build"), (DockerBackend, "build")),
    "seal": ((Memory, "keep_seal"),),
    "smoke": ((Builder, "smoke"),),
    "attach": ((Container, "__init__"),),
    "promote": ((Ledger, "promote"),),
    "retire": ((Ledger, "retire"),),
    "collect": ((ProcessBackend, "remove"), (DockerBackend, "remove")),
    "unseal": ((Memory, "drop_seals"),),
    "rename": ((Path, "rename"),),  # by which clones, builds and removals come about
    "transaction": ((Database, "transaction"),),
}


def main(home: str, repository: str, sandbox: str, base_image: str) -> None:
    with tempfile.TemporaryDirectory() as scratch, Controller(Options(Path(scratch))):
        pass  # now everything is imported, the plugins too
    options = Options(Path(home), repository, sandbox=sandbox, base_image=base_image or None)

    def reconcile(_: Order) -> None:
        with Controller(options) as controller:
            controller.reconcile()

    serve(STEPS, reconcile)


if __name__ == "__main__":
    main(*sys.argv[1:])
