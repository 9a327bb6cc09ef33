"""Controllers that listen, to be killed: `python -m tests.reliability.stream_driver HOME REPOSITORY FILES`.

Each listens and sweeps at once, and ends by itself when it has recorded so many files and nothing waits to be
delivered.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from tests.reliability.forks import Order, Steps, serve
from trapline.controller import Controller
from trapline.errors import TraplineError
from trapline.options import Options
from trapline.run.feed import Feeder
from trapline.run.listen import Listener
from trapline.state.database import Database
from trapline.state.schema import deliveries, landed
from trapline.streams import queue, s3_events
from trapline.streams.directory import Directory

STEPS: Steps = {
    "turn": ((Listener, "turn"),),
    "look": ((Listener, "_look"),),
    "feed": ((Feeder, "feed"),),
    "done": ((Directory, "done"), (s3_events.S3Events, "done")),
    "transaction": ((Database, "transaction"),),
}


def listen(options: Options, files: int, _: Order) -> None:
    """Listens until all is done."""
    queue.HELD_SECONDS = 2  # what a killed one had comes again soon
    driver = os.getppid()
    with Controller(options, write=lambda _: None) as controller:
        stop = threading.Event()

        def sweep() -> None:
            while not stop.is_set():
                controller.tick()
                controller.deliver()

        sweeping = threading.Thread(target=sweep, daemon=True)
        sweeping.start()
        while not _done(controller.database, files) and os.getppid() == driver:
            controller.streams()
            with suppress(TraplineError):  # which the next turn tries again
                controller.listen("logs")
        stop.set()
        sweeping.join()


def _done(database: Database, files: int) -> bool:
    waiting = sa.select(deliveries.c.id).where(deliveries.c.settled_at.is_(None)).limit(1)
    known = sa.select(sa.func.count()).select_from(landed).where(landed.c.key.contains("file-"))
    with database.reading() as connection:
        return connection.execute(known).scalar_one() >= files and connection.execute(waiting).first() is None


def main(home: str, repository: str, files: str) -> None:
    with tempfile.TemporaryDirectory() as scratch, Controller(Options(Path(scratch))):
        pass  # now everything is imported, the plugins too
    options = Options(Path(home), repository, sandbox="process")
    serve(STEPS, partial(listen, options, int(files)))


if __name__ == "__main__":
    main(*sys.argv[1:])
