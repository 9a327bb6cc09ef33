"""Long-running controllers to be killed: `python -m tests.reliability.alert_driver HOME REPOSITORY UNTIL`.

Each runs as the service does, by the test's clock, and ends by itself when it has seen everything up to UNTIL (an
ISO 8601 time), nothing waits to be delivered and no alert is open any more.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from tests.reliability.forks import Order, Steps, serve
from tests.reliability.other_sides import KINDS, moment
from trapline.controller import Controller
from trapline.delivery.plugins import load_plugins
from trapline.detection.model import OWN_IDENTITY
from trapline.options import Options
from trapline.run.feed import Feeder
from trapline.run.tick import Ticker
from trapline.service import Service, Serving
from trapline.state.database import Database
from trapline.state.schema import alerts, checkpoints, deliveries

LEASE = timedelta(hours=1)
"""By the test's clock, which is put forward by more with each start: who was killed leads no longer."""

_DESTINATIONS = [kind for name, kind in load_plugins().destinations.items() if name in KINDS]

STEPS: Steps = {
    "tick": ((Ticker, "tick"),),
    "feed": ((Feeder, "feed"),),
    "send": tuple((kind, "send") for kind in _DESTINATIONS),
    "find": tuple((kind, "find") for kind in _DESTINATIONS if "find" in vars(kind)),
    "transaction": ((Database, "transaction"),),
}


def lead(options: Options, until: datetime, order: Order) -> None:
    """Runs the service until all is done."""
    now, stop = partial(moment, order.ahead), threading.Event()
    controller = Controller(options, now=now)
    threading.Thread(target=_watch, args=(controller.database, until, stop), daemon=True).start()
    Service(controller, Serving(lease=LEASE), now=now).run(stop)


def _watch(database: Database, until: datetime, stop: threading.Event) -> None:
    driver = os.getppid()
    while not _done(database, until) and os.getppid() == driver:  # which may have been ended meanwhile
        time.sleep(0.1)
    stop.set()


def _done(database: Database, until: datetime) -> bool:
    seen = sa.select(sa.func.min(checkpoints.c.position))
    waiting = sa.select(deliveries.c.id).where(deliveries.c.settled_at.is_(None))
    open_ = sa.select(alerts.c.id).where(alerts.c.status == "open", alerts.c.identity != OWN_IDENTITY)
    with database.reading() as connection:
        position = connection.execute(seen).scalar_one()
        left = [row for query in (waiting, open_) if (row := connection.execute(query.limit(1)).first())]
    return position is not None and position >= until and not left


def main(home: str, repository: str, until: str) -> None:
    with tempfile.TemporaryDirectory() as scratch, Controller(Options(Path(scratch))):
        pass  # now everything is imported, the plugins too
    options = Options(Path(home), repository, sandbox="process")
    serve(STEPS, partial(lead, options, datetime.fromisoformat(until)))


if __name__ == "__main__":
    main(*sys.argv[1:])
