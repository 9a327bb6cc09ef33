"""The controller: puts the rooms together, and runs the three loops of the long-running process."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from trapline.alerts.delivery import DeliveryReport, Router
from trapline.alerts.destinations import build_destinations, make_tools
from trapline.alerts.plugins import load_plugins
from trapline.clock import Clock, system_clock
from trapline.deploy.ledger import Ledger
from trapline.deploy.reconcile import Reconciler, Report
from trapline.errors import Problem, TraplineError
from trapline.query.duckdb import DuckDBEngine
from trapline.run.context import Context
from trapline.run.replay import Replay, replay
from trapline.run.tick import Ticker, TickReport
from trapline.settings import Settings, parse
from trapline.source.git import Mirror
from trapline.state.database import Database
from trapline.workers.choose import choose
from trapline.workers.interface import Backend, BuildDigest, Limits
from trapline.workers.pool import Pool

log = logging.getLogger("trapline")

T = TypeVar("T")
DELIVERY_PAUSE = timedelta(seconds=1)
GRACE_SECONDS = 10.0
GIT_SECONDS = 300.0  # for a first clone of a large repository, too


@dataclass(frozen=True, slots=True)
class Options:
    """What differs per machine: flags and TRAPLINE_* variables. `sandbox` and `base_image` override trapline.yml."""

    home: Path
    repository: str = ""  # may be empty where nothing is reconciled
    ref: str = "main"
    sandbox: str | None = None
    base_image: str | None = None


class Controller:
    """One controller of one home. `reconcile`, `tick` and `deliver` are one step each; `run` loops them."""

    def __init__(
        self,
        options: Options,
        *,
        now: Clock = system_clock,
        write: Callable[[str], None] = print,
        on_progress: Callable[[str], None] = log.info,
    ) -> None:
        self.options = options
        self.database = Database.in_home(options.home)
        self.ledger = Ledger(self.database)
        self.sandbox = ""
        self._now = now
        self._on_progress = on_progress
        self._tools = make_tools(now, write)
        self._plugins = load_plugins()
        self._stop = threading.Event()
        self._choosing = threading.Lock()
        self._backend: tuple[tuple[str, str | None], Backend, Pool] | None = None
        self._parsed: tuple[bytes, Settings] | None = None
        self._reported: Report | None = None
        self._told: dict[str, str] = {}
        self._router: tuple[Settings, Router, list[Problem]] | None = None

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the idle workers, and those at work when their batch is done."""
        self._stop.set()
        with ExitStack() as ends:
            ends.callback(self.database.close)
            ends.callback(self._tools.http.close)
            if self._backend:
                ends.callback(self._backend[2].close)

    def reconcile(self, *, confirm_prune: bool = False) -> Report:
        """Brings the deployments to what git says. Raises TraplineError where git says nothing usable."""
        reconciler = Reconciler(
            ledger=self.ledger,
            mirror=Mirror(
                self.options.repository, self.options.home / "mirror.git", ref=self.options.ref, timeout=GIT_SECONDS
            ),
            home=self.options.home,
            backend_for=lambda settings: self._chosen(settings)[0],
            limits_for=limits_of,
            now=self._now,
            on_progress=self._on_progress,
            stopping=self._stop.is_set,
        )
        before = self._live_builds()
        with self._turn("reconcile"):
            report = reconciler.reconcile(confirm_prune=confirm_prune)
        if self._backend:  # what no longer runs need not be kept warm
            self._backend[2].forget(before - self._live_builds())
        return report

    def tick(self) -> TickReport:
        """Reads what is due and records what the detections say of it."""
        settings = self._settings()
        if settings is None:  # nothing was ever deployed
            return TickReport()
        ticker = Ticker(
            self._context(settings),
            threads=os.cpu_count() or 1,
            stopping=self._stop.is_set,
            on_scan=lambda planned: self._on_progress(f"scanning {planned.request.table} {planned.request.window}"),
        )
        with self._turn("tick"):
            return ticker.tick()

    def replay(self, alert: Mapping[str, Any]) -> Replay:
        """Runs an alert's build over its window again; nothing is recorded. `alert` is a row of the table `alerts`."""
        return replay(alert, self._context(self._settings() or Settings()))

    def deliver(self) -> tuple[DeliveryReport, list[Problem]]:
        """Sends what is due; the problems are those of destinations that cannot be used as they are configured."""
        settings = self._settings() or Settings()
        if self._router is None or self._router[0] is not settings:
            destinations, problems = build_destinations(settings, self._plugins, env=os.environ, tools=self._tools)
            self._router = (settings, Router(self.database, destinations, now=self._now), problems)
        return self._router[1].deliver(), self._router[2]

    def remove_builds(self) -> None:
        """Removes every build of this home, for a home that ends with the process."""
        if self._backend:
            _, backend, pool = self._backend
            pool.close()
            backend.remove(backend.built())

    def run(self, stop: threading.Event) -> None:
        """Loops until `stop`: each loop at its own pace, none stopped by another's errors."""
        self._stop = stop
        new = not self.ledger.deployments()
        if new:
            _guarded("reconcile", self._reconcile_and_log)  # so that the first tick finds something to run
        every = self._pace(lambda settings: settings.schedule.every)
        poll = self._pace(lambda settings: settings.schedule.poll)
        loops = [
            _Loop("reconcile", self._reconcile_and_log, poll, stop, pause_first=new),
            _Loop("tick", self._tick_and_log, every, stop),
            _Loop("deliver", self._deliver_and_log, lambda: DELIVERY_PAUSE, stop),
        ]
        for loop in loops:
            loop.start()
        while not stop.wait(1):  # a signal that another thread took is seen by this one only when it wakes
            pass
        log.info("stopping")
        for loop in loops:
            loop.join(GRACE_SECONDS)
        self.close()
        for loop in loops:
            loop.join()

    def _pace(self, of: Callable[[Settings], timedelta]) -> Callable[[], timedelta]:
        return lambda: of(self._settings() or Settings())

    def _settings(self) -> Settings | None:
        """The last usable trapline.yml; the same object for as long as its text is the same."""
        kept = self.ledger.settings()
        if kept is None:
            return None
        if self._parsed is None or self._parsed[0] != kept[1]:
            self._parsed = (kept[1], parse(kept[1], env=os.environ)[0])
        return self._parsed[1]

    @contextmanager
    def _turn(self, step: str) -> Iterator[None]:
        """One process at a time does a step in one home, such as `--once` beside a controller that loops."""
        with (self.options.home / f"{step}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _live_builds(self) -> set[BuildDigest]:
        return {deployment.build_digest for deployment in self.ledger.deployments().values()}

    def _context(self, settings: Settings) -> Context:
        return Context(
            database=self.database,
            ledger=self.ledger,
            engine=DuckDBEngine(settings.tables, home=self.options.home),
            pool=self._chosen(settings)[1],
            settings=settings,
            limits=limits_of(settings),
            now=self._now,
        )

    def _chosen(self, settings: Settings) -> tuple[Backend, Pool]:
        """The backend that the flags or the settings ask for, chosen anew only where these change."""
        wanted = (
            self.options.sandbox or settings.sandbox.backend,
            self.options.base_image or settings.sandbox.base_image,
        )
        with self._choosing:
            if self._backend is None or self._backend[0] != wanted:
                home = self.options.home.resolve()
                scope = hashlib.sha256(str(home).encode()).hexdigest()[:12]
                backend, why = choose(wanted[0], home=home / "builds", base_image=wanted[1], scope=scope)
                self.sandbox = why
                self._on_progress(why)
                if self._backend:
                    self._backend[2].close()
                self._backend = (wanted, backend, Pool(backend, limit=64))
            return self._backend[1], self._backend[2]

    def _reconcile_and_log(self) -> None:
        report = self.reconcile()
        known, self._reported = self._reported, report
        for problem in report.problems:  # said once, not with every look at the repository
            if known is None or problem not in known.problems:
                log.log(logging.ERROR if problem.severity == "error" else logging.WARNING, "%s", problem)
        for outcome in report.outcomes:
            if outcome.action not in ("unchanged", "disabled") and (known is None or outcome not in known.outcomes):
                log.info("%s %s %s", outcome.action, outcome.name, outcome.message)

    def _tick_and_log(self) -> None:
        report = self.tick()
        for identity, message in {**report.failures, **report.errors}.items():
            log.error("%s: %s", identity, message)
        if report.matches:
            log.info("%d matches, %d alerts opened, %d updated", report.matches, report.opened, report.updated)

    def _deliver_and_log(self) -> None:
        known = self._router
        report, problems = self.deliver()
        if self._router is not known:  # said once for each trapline.yml, not every second
            for problem in problems:
                log.error("%s", problem)
        for destination, reason in report.reasons.items():
            if self._told.get(destination) != reason:  # a destination that is down is news once
                log.warning("%s: %s", destination, reason)
        self._told = {**report.reasons}


class _Loop(threading.Thread):
    """One step, over and over, with a pause between, until told to stop."""

    def __init__(
        self,
        name: str,
        step: Callable[[], None],
        pause: Callable[[], timedelta],
        stop: threading.Event,
        *,
        pause_first: bool = False,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._pause = pause
        self._stopping = stop
        self._pause_first = pause_first

    def run(self) -> None:
        if self._pause_first:
            self._wait()
        while not self._stopping.is_set():
            _guarded(self.name, self._step)
            self._wait()

    def _wait(self) -> None:
        pause = _guarded(self.name, self._pause) or timedelta(minutes=1)
        # The jitter keeps many controllers from asking one git server in the same second.
        self._stopping.wait(pause.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311


def _guarded(name: str, step: Callable[[], T]) -> T | None:
    """A loop survives its steps: what a person can act on is said in a line, anything else with its traceback."""
    try:
        return step()
    except TraplineError as error:
        log.error("%s: %s", name, error)
    except Exception:
        log.exception("%s failed and will be tried again", name)
    return None


def limits_of(settings: Settings) -> Limits:
    """The limits of a worker as trapline.yml sets them."""
    sandbox = settings.sandbox
    return Limits(
        memory_bytes=sandbox.memory,
        batch_seconds=sandbox.batch_timeout.total_seconds(),
        cpus=sandbox.cpus,
        pids=sandbox.pids,
    )
