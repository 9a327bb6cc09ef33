"""The long-running process: waits for its turn to lead, starts the loops and the HTTP side, and stops them cleanly."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic

from flask import Flask

from trapline.clock import Clock, system_clock
from trapline.controller import Controller
from trapline.deploy.ledger import PROMOTIONS
from trapline.deploy.reconcile import Report
from trapline.deploy.tell import Teller, make_tellers
from trapline.errors import Problem, TraplineError
from trapline.loops import Loop, Pulse, guarded
from trapline.run.recorder import TickReport
from trapline.settings import Settings
from trapline.state.lease import Lease
from trapline.web.api import make_api
from trapline.web.app import Health, make_app
from trapline.web.server import serving
from trapline.window import NO_TIME

log = logging.getLogger("trapline")

LEASE = "controller"
PAUSE = timedelta(seconds=1)
AGAIN, AGAIN_AT_LAST = timedelta(seconds=1), timedelta(seconds=30)
"""The pauses after which a stream that is down is tried again: they double."""
GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Serving:
    """How the long-running process is run. An empty `listen` is no HTTP side; an empty `hook_secret` no webhooks, an
    empty `api_token` no API.

    `lease` is how long a leader that says nothing counts as alive; `stall` how long a loop may be at one thing.
    """

    listen: str = ""
    hook_secret: bytes = b""
    api_token: bytes = b""
    on_deploy: str | None = None
    lease: timedelta = timedelta(seconds=10)
    stall: timedelta = timedelta(minutes=15)  # a first clone may take eleven


class Service:
    """A controller that goes on until it is told to stop. Of several on one home, one leads and the others stand by."""

    def __init__(self, controller: Controller, how: Serving = Serving(), *, now: Clock = system_clock) -> None:
        self._controller = controller
        self._serving = how
        self._now = now
        self._pulse = Pulse()
        self._lease = Lease(
            controller.database,
            LEASE,
            holder=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
            ttl=how.lease,
            now=now,
        )
        self._ticked_at = now()
        self._hinted = threading.Event()
        self._settled = threading.Event()
        self._loops: list[Loop] = []
        self._listening: dict[str, Loop] = {}
        self._down: Counter[str] = Counter()
        self._listened_by: Settings | None = None
        self._reported: Report | None = None
        self._said: dict[str, Mapping[str, str]] = {}
        self._tellers: tuple[Settings, list[Teller], list[Problem]] | None = None
        controller.beat = self._pulse.beat
        controller.hurry = self._hurry

    def run(self, stop: threading.Event) -> None:
        """Leads whenever no other controller does, until `stop`."""
        with ExitStack() as ends:
            ends.callback(self._controller.close)
            if self._serving.listen:
                url = ends.enter_context(serving(self._app(), self._serving.listen))
                log.info("listening on %s", url)
            while not stop.is_set():
                if self._wait_to_lead(stop):
                    self._lead(stop)
            log.info("stopping")
            ends.callback(guarded, "lease", self._lease.release)

    def health(self) -> Health:
        """Whether every loop gets on: a loop that is at one thing for too long has failed, whatever it waits for."""
        silent = self._pulse.silent()
        limit = self._serving.stall.total_seconds()
        stuck = sorted(name for name, seconds in silent.items() if seconds > limit)
        stuck += [loop.name for loop in self._loops if not loop.is_alive() and loop.name not in stuck]
        loops = {name: {"silent_seconds": round(seconds, 1)} for name, seconds in silent.items()}
        return Health(not stuck, {"role": self._role(), "loops": loops, "stuck": stuck})

    def ready(self) -> Health:
        """Whether it does its job: leads and has something to run or a commit it has seen, or stands by to."""
        revision = self._controller.memory.source().revision
        return Health(bool(revision) or not self._loops, {"role": self._role(), "revision": revision})

    def _role(self) -> str:
        return "leading" if self._loops else "standing by"

    def _app(self) -> Flask:
        return make_app(
            hint=self._hint,
            health=self.health,
            ready=self.ready,
            hook_secret=lambda: self._serving.hook_secret,
            ref=self._controller.options.ref,
            api=make_api(self._controller.database, token=lambda: self._serving.api_token, now=self._now),
        )

    def _hint(self, who: str) -> None:
        """Somebody says that the repository has changed: whoever leads looks now."""
        log.info("a hint from %s", who)
        if self._loops:
            self._hurry("reconcile")
        else:
            self._hinted.set()  # and passed on by the thread that stands by: this one must not wait for the database

    def _wait_to_lead(self, stop: threading.Event) -> bool:
        """Whether this process leads now; False where it is to stop first."""
        said = ""
        while not stop.is_set():
            if guarded("lease", self._lease.acquire):
                return True
            leader = guarded("lease", self._lease.holder)
            if leader and leader.holder != said:
                said = leader.holder
                log.info("%s leads this home; standing by", leader.holder)
            if self._hinted.is_set():
                self._hinted.clear()
                guarded("hint", self._controller.memory.leave_hint)
            stop.wait(min(1.0, self._serving.lease.total_seconds() / 3))
        return False

    def _lead(self, stop: threading.Event) -> None:
        """Runs the loops for as long as the lease can be renewed."""
        self._controller.halt.clear()
        self._loops = self._make_loops()
        for loop in self._loops:
            loop.start()
        renewal, renewed = self._serving.lease.total_seconds() / 4, monotonic()
        hints = guarded("hint", self._controller.memory.hints)
        while not stop.wait(min(1.0, renewal)):  # a signal that another thread took is seen only on waking
            if monotonic() - renewed >= renewal:
                renewed = monotonic()
                if guarded("lease", self._lease.acquire) is False:
                    log.error("another controller leads this home now; standing by")
                    break
            left = guarded("hint", self._controller.memory.hints)
            if left not in (None, hints):
                hints = left
                self._hurry("reconcile")
        self._end_loops(GRACE_SECONDS if stop.is_set() else None)

    def _end_loops(self, seconds: float | None = None) -> None:
        """Ends every step that is under way. One that takes longer than `seconds` is left, and done again next time."""
        self._controller.halt.set()
        loops = [*self._loops, *self._listening.values()]
        for loop in loops:
            loop.stop()
        deadline = None if seconds is None else monotonic() + seconds
        for loop in loops:
            loop.join(None if deadline is None else max(deadline - monotonic(), 0))
            if loop.is_alive():
                log.warning("%s is still at work and is left; it will be done again", loop.name)
        left = GRACE_SECONDS if deadline is None else max(deadline - monotonic(), 0)
        guarded("deliver", lambda: self._controller.finish_deliveries(within=left))
        for table in self._listening:
            guarded(f"stream {table}", partial(self._controller.listen_no_more, table))
        self._loops, self._listening = [], {}
        self._pulse.forget()

    def _make_loops(self) -> list[Loop]:
        poll = self._pace(lambda settings: settings.schedule.poll)
        return [
            Loop("reconcile", self._fenced(self._reconcile), poll, self._pulse),
            Loop("tick", self._fenced(self._tick), self._until_due, self._pulse, jitter=0),
            Loop("deliver", self._fenced(self._deliver), self._until_delivery, self._pulse, jitter=0),
            Loop("tell", self._fenced(self._tell), lambda: PAUSE, self._pulse),
            Loop("streams", self._fenced(self._streams), lambda: PAUSE, self._pulse, jitter=0),
        ]

    def _fenced(self, step: Callable[[], None]) -> Callable[[], None]:
        """Begins no step once the lease has passed: whoever slept that long may wake beside another leader."""

        def run() -> None:
            if self._lease.held:
                step()

        return run

    def _pace(self, of: Callable[[Settings], timedelta]) -> Callable[[], timedelta]:
        return lambda: of(self._controller.settings() or Settings())

    def _until_due(self) -> timedelta:
        """The pause until a detection is due; short where one was due while others were at work."""
        now = self._now()
        due = self._controller.next_tick(after=min(self._ticked_at, now))
        return max(due - now, PAUSE)

    def _until_delivery(self) -> timedelta:
        return self._controller.next_delivery(PAUSE)

    def _reconcile(self) -> None:
        none = not self._controller.ledger.deployments()
        self._settled.clear()
        try:
            report = self._controller.reconcile()
        finally:
            self._settled.set()
        known, self._reported = self._reported, report
        for problem in report.problems:  # said once, not with every look at the repository
            if known is None or problem not in known.problems:
                log.log(logging.ERROR if problem.severity == "error" else logging.WARNING, "%s", problem)
        for outcome in report.outcomes:
            if outcome.action not in ("unchanged", "disabled") and (known is None or outcome not in known.outcomes):
                level = logging.WARNING if outcome.action in ("stalled", "waiting") else logging.INFO
                log.log(level, "%s", " ".join(filter(None, (outcome.action, outcome.name, outcome.message))))
        if none or report.count(*PROMOTIONS):  # what is new may be due before anything else is
            self._hurry("tick")

    def _tick(self) -> None:
        self._ticked_at = self._now()
        report = self._controller.tick(by_schedule=True)
        for identity, message in {**report.failures, **report.errors}.items():
            log.error("%s: %s", self._controller.name_of(identity), message)
        self._found(report)

    def _found(self, report: TickReport) -> None:
        if report.matches:
            log.info("%d matches, %d alerts opened, %d updated", report.matches, report.opened, report.updated)

    def _streams(self) -> None:
        """A loop of its own for each table that is listened to, for as long as it is."""
        settings = self._controller.settings()
        if settings is not self._listened_by:  # what was wrong with a stream may be mended
            self._listened_by = settings
            for loop in self._listening.values():
                loop.hurry()
        wanted = self._controller.streams()
        for table in [table for table in self._listening if table not in wanted]:
            loop = self._listening.pop(table)
            loop.stop()
            loop.join()
            self._controller.listen_no_more(table)
            del self._down[table]
            log.info("table %s is listened to no more", table)
        for table in wanted:
            if table not in self._listening:
                log.info("table %s is listened to", table)
                step = self._fenced(partial(self._listen, table))
                self._listening[table] = Loop(
                    f"stream {table}", step, partial(self._until_listening, table), self._pulse, jitter=0
                )
                self._listening[table].start()

    def _listen(self, table: str) -> None:
        self._down[table] += 1
        try:
            report = self._controller.listen(table)
        except TraplineError as error:
            self._news(f"stream {table}", {table: str(error)})
            return
        del self._down[table]
        self._news(f"stream {table}", {**report.failures, **report.errors})
        if report.matches:
            log.info(
                "%s: %d matches, %d alerts opened, %d updated", table, report.matches, report.opened, report.updated
            )

    def _until_listening(self, table: str) -> timedelta:
        """No pause, but where the last turns did not go well: longer each time."""
        failed = self._down[table]
        return min(AGAIN * 2 ** min(failed - 1, 10), AGAIN_AT_LAST) if failed else NO_TIME

    def _deliver(self) -> None:
        report, problems = self._controller.deliver(wait=False)
        reasons = {**report.reasons, **{str(problem): str(problem) for problem in problems}}
        self._news("deliver", reasons)

    def _tell(self) -> None:
        if not self._settled.is_set():  # half of a commit's results would say that all of it is well
            return
        settings = self._controller.settings() or Settings()
        # With a problem again each time: a secret that could not be read may be there now.
        if self._tellers is None or self._tellers[0] is not settings or self._tellers[2]:
            tellers, problems = make_tellers(
                settings,
                database=self._controller.database,
                command=self._serving.on_deploy,
                env=os.environ,
                http=self._controller.tools.http,
                now=self._now,
            )
            self._tellers = (settings, tellers, problems)
        reasons = {teller.name: reason for teller in self._tellers[1] if (reason := teller.tell())}
        self._news("tell", {**reasons, **{str(problem): str(problem) for problem in self._tellers[2]}})

    def _news(self, loop: str, reasons: Mapping[str, str]) -> None:
        """Logs what was not so the last time: a destination that is down is news once, not every second."""
        known, self._said[loop] = self._said.get(loop, {}), dict(reasons)
        for what, reason in reasons.items():
            if known.get(what) != reason:
                log.warning("%s", reason if reason == what else f"{what}: {reason}")

    def _hurry(self, name: str) -> None:
        for loop in self._loops:
            if loop.name == name:
                loop.hurry()
