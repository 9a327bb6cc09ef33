"""From the commit of an alert to its arrival: the delivery loop as the service runs it, with six other sides that are
well, and the same beside one that takes connections and never answers."""

from __future__ import annotations

import gc
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import sqlalchemy as sa
import yaml

from tests.bench.alerts_receiver import Receiver, receiving
from tests.bench.ground import SETTINGS, Ground, ground, until
from tests.bench.measure import Figures
from trapline.alerts.match import Match, match_id
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.record import record
from trapline.clock import system_clock
from trapline.config.files import File
from trapline.controller import Controller
from trapline.detection.model import DetectionConfig, Severity
from trapline.outbox.queue import waiting
from trapline.service import Service
from trapline.state.schema import alerts, deliveries
from trapline.window import Window
from trapline.workers.answer import Answer

OTHERS = 6
QUEUED = 100_000
_COLUMNS = ("deliveries", "p50", "p99")
_PAUSE = 0.3  # seconds at most, from one alert to the next
_SHARES = (50, 99)
_CHUNK = 10_000


def measure_latency(*, quick: bool) -> Figures:
    """Alerts at random moments, each to all six."""
    taken = _taken(alerts=5 if quick else 300, queued=0)
    row = ("six destinations that are well (the aim for p99 is 1 s)", [*_shown(taken)])
    return Figures("From an alert's commit to its arrival", _COLUMNS, [row], "Alerts come every 0.15 s on average.")


def measure_dead(*, quick: bool) -> Figures:
    """The same, and the same again beside a destination that is dead while much is queued for it, in turns."""
    count, queued, turns = (4, 500, 1) if quick else (100, QUEUED, 3)
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(turns):
        alone += _taken(alerts=count, queued=0)
        beside += _taken(alerts=count, queued=queued)
    ratios = (f"{_percentile(beside, share) / _percentile(alone, share):.2f} × A" for share in _SHARES)
    return Figures(
        "From an alert's commit to its arrival, beside a dead destination",
        (*_COLUMNS, "p50", "p99", "aim"),
        [
            ("A: nothing queued for the dead one", [*_shown(alone), "", "", ""]),
            (f"{queued:,} queued for the dead one", [*_shown(beside), *ratios, "1.10 × A"]),
        ],
        "The dead one takes connections and never answers. Alerts come every 0.15 s on average.",
    )


def _taken(*, alerts: int, queued: int) -> list[float]:
    """How many seconds each delivery of so many alerts took."""
    with receiving(OTHERS) as receiver, _running(receiver, queued=queued) as site:
        committed: dict[str, float] = {}
        for number in range(alerts):
            time.sleep(random.uniform(0, _PAUSE))
            committed |= site.alert(f"rule_{number}")
        until(lambda: site.unsettled == 0, every=0.1)
    return [receiver.seen[id] - at for id, at in committed.items()]


@dataclass(frozen=True, slots=True)
class _Site:
    """A controller with destinations, which are named by number, and the dead one."""

    controller: Controller
    names: tuple[str, ...]

    def alert(self, identity: str) -> dict[str, float]:
        """Commits an alert for all that are well, of a detection of its own; when, by the ids of its deliveries."""
        return self._record(identity, self.names)

    def queue(self, count: int) -> None:
        """Makes one alert for the dead one into so many."""
        if not count:
            return
        [id] = self._record("dead", ("dead",))
        with self.controller.database.transaction() as connection:
            delivery = dict(connection.execute(sa.select(deliveries).where(deliveries.c.id == id)).mappings().one())
            query = sa.select(alerts).where(alerts.c.id == delivery["alert_id"])
            alert = dict(connection.execute(query).mappings().one())
            for start in range(1, count, _CHUNK):
                numbers = range(start, min(start + _CHUNK, count))
                connection.execute(alerts.insert(), [alert | {"id": f"dead-{n}"} for n in numbers])
                changed = ({"id": f"dead-{n}", "alert_id": f"dead-{n}", "sequence": n + 1} for n in numbers)
                connection.execute(deliveries.insert(), [delivery | one for one in changed])
        with closing(sqlite3.connect(self.controller.options.home / "trapline.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as it is where they came one by one
        gc.collect()

    @property
    def unsettled(self) -> int:
        """How many deliveries are still on their way to those that are well."""
        with self.controller.database.reading() as connection:
            return sum(waiting(connection, name) for name in self.names)

    def _record(self, identity: str, destinations: Sequence[str]) -> dict[str, float]:
        now = system_clock()
        origin = Origin(identity, DetectionConfig(name=identity, tables=("events",)), "0" * 40, "0" * 40)
        window = Window(now - timedelta(minutes=1), now)
        scan = ScanSummary(f"scan of {identity}", "events", window, now, 0.1, 1_000, 1_000_000, [identity])
        answer = Answer(identity, identity, Severity.HIGH, tuple(destinations), None, None, {"source": "192.0.2.1"})
        found = Match(match_id(identity, "events", "id 1"), now, answer, '{"event": {"action": "ConsoleLogin"}}')
        record(self.controller.database, origin, scan, [found], [], now=now)
        committed = time.monotonic()
        query = sa.select(deliveries.c.id).join(alerts, alerts.c.id == deliveries.c.alert_id)
        with self.controller.database.reading() as connection:
            return dict.fromkeys(connection.execute(query.where(alerts.c.identity == identity)).scalars(), committed)


@contextmanager
def _running(receiver: Receiver, *, queued: int) -> Iterator[_Site]:
    """The service, which has had its first look at everything."""
    names = tuple(f"other_{number}" for number in range(len(receiver.urls)))
    with ExitStack() as ends:
        dead = ends.enter_context(socket.create_server(("127.0.0.1", 0)))  # nobody ever accepts
        urls = dict(zip(names, receiver.urls, strict=True))
        urls["dead"] = f"http://127.0.0.1:{dead.getsockname()[1]}/"
        made = ends.enter_context(ground())
        _commit(made, urls)
        controller = Controller(made.options(sandbox="process"), on_progress=lambda _: None)
        site = _Site(controller, names)
        controller.reconcile()
        site.queue(queued)
        stop = threading.Event()
        running = ends.enter_context(ThreadPoolExecutor(1)).submit(Service(controller).run, stop)
        ends.callback(running.result)
        ends.callback(stop.set)
        site.alert("the_first")
        until(lambda: site.unsettled == 0)
        yield site


def _commit(made: Ground, urls: dict[str, str]) -> None:
    destinations = {name: {"type": "webhook", "url": url, "timeout": 2} for name, url in urls.items()}
    text = SETTINGS + yaml.safe_dump({"destinations": destinations})
    made.write({"trapline.yml": File(content=text.encode())})
    made.commit()
    made.push()


def _shown(taken: Sequence[float]) -> Sequence[str]:
    return f"{len(taken):,}", *(f"{_percentile(taken, share) * 1000:,.0f} ms" for share in _SHARES)


def _percentile(taken: Sequence[float], share: int) -> float:
    """The time that so many of a hundred did not exceed."""
    return sorted(taken)[ceil(share / 100 * len(taken)) - 1]
