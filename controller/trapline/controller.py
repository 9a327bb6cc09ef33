"""The controller: puts the rooms together. One step each; the service loops them."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from trapline.alerts.record import Policy
from trapline.alerts.suppress import tell_expired
from trapline.clock import Clock, SteadyClock, system_clock
from trapline.delivery.destinations import make_tools
from trapline.delivery.dispatch import Dispatch
from trapline.delivery.plugins import load_plugins
from trapline.delivery.report import DeliveryReport
from trapline.deploy.ledger import Ledger
from trapline.deploy.memory import Memory
from trapline.deploy.overrides import Overrides
from trapline.deploy.packs import HomePacks
from trapline.deploy.reconcile import How, Reconciler, Report
from trapline.deploy.results import DeployResult, current_result, write_status_file
from trapline.deploy.survey import House
from trapline.detection.model import Detection
from trapline.errors import Problem, TraplineError
from trapline.options import Options, recalled, remembered
from trapline.packs.store import PackStore
from trapline.query.lake import Lake
from trapline.query.where import problems
from trapline.run.context import Context
from trapline.run.failures import FailureReplay, replay_failures
from trapline.run.listeners import Listeners
from trapline.run.outlook import Outlook, outlook
from trapline.run.plan import next_due
from trapline.run.putoff import PutOff
from trapline.run.recorder import TickReport
from trapline.run.reopen import StreamReplay, replay_set_aside
from trapline.run.replay import Replay, replay
from trapline.run.rules import Rules
from trapline.run.tick import Ticker
from trapline.settings import Settings, parse
from trapline.source.git import Mirror
from trapline.source.remote import redact
from trapline.source.tree import SourceError
from trapline.state.database import Database
from trapline.state.logs import Logs
from trapline.suppressions import Suppressions
from trapline.suppressions import parse as parse_suppressions
from trapline.workers.choose import STRENGTH, choose, why_not_stronger
from trapline.workers.interface import Backend, BackendUnavailable, BuildDigest
from trapline.workers.pool import Pool

log = logging.getLogger("trapline")

STATUS_FILE = "deploy.json"


class Controller:
    """One controller of one home. `reconcile`, `tick` and `deliver` are one step each.

    `beat` is called with a step's name whenever it gets on with something, `hurry` when there is more for it.
    While `halt` is set, the steps under way end early; what they did not get to is done the next time. With `remember`
    the home keeps how it is run for later commands.
    """

    def __init__(
        self,
        options: Options,
        *,
        now: Clock = system_clock,
        remember: bool = False,
        write: Callable[[str], None] = print,
        on_progress: Callable[[str], None] = log.info,
    ) -> None:
        self.database = Database.in_home(options.home)
        self.ledger = Ledger(self.database)
        self.memory = Memory(self.database)
        self._rules = Rules(self.ledger)
        self.overrides = Overrides(self.database)
        self.logs = Logs(self.database)
        self.options = recalled(options, self.memory.machine())
        self.sandbox = ""
        self.tools = make_tools(now, write)
        self._remember = remember
        self.beat: Callable[[str], None] = lambda _: None
        self.hurry: Callable[[str], None] = lambda _: None
        self._now = now
        self._steady = SteadyClock(now)
        self._put_off = PutOff()
        self._on_progress = on_progress
        self._plugins = load_plugins()
        self.halt = threading.Event()
        self._choosing = threading.Lock()
        self._backend: tuple[tuple[str, str | None, str | None], Backend, Pool] | None = None
        self._former: list[Backend] = []
        self._parsed: tuple[bytes, Settings] | None = None
        self._suppressions = (b"", Suppressions())
        self._lake: Lake | None = None
        self._reconciler: Reconciler | None = None
        self._written: DeployResult | None = None
        self._listeners = Listeners(options.home, stopping=self.halt.is_set)
        self._dispatch = Dispatch(
            self.database,
            self._plugins,
            env=os.environ,
            tools=self.tools,
            now=now,
            on_news=lambda: self.hurry("deliver"),
        )

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the idle workers, and those at work when their batch is done."""
        self.halt.set()
        with ExitStack() as ends:
            ends.callback(self.database.close)
            ends.callback(self.tools.http.close)
            if self._lake:
                ends.callback(self._lake.close)
            ends.callback(self._listeners.close_all)
            if self._backend:
                ends.callback(self._backend[1].close)
                ends.callback(self._backend[2].close)
            for backend in self._former:
                ends.callback(backend.close)

    def reconcile(self, how: How = How()) -> Report:  # noqa: B008  frozen
        """Brings the deployments to what git says. Raises TraplineError where git never said anything usable."""
        if how.fetch:
            self.reconciler().look_ahead(retry_now=how.retry_now)
        with self._turn("reconcile"):
            before = self.ledger.live_builds()
            try:
                report = self._reconcile(how)
            finally:
                if self._backend:  # what no longer runs need not be kept warm
                    self._backend[2].forget(before - self.ledger.live_builds())
        return report

    def _reconcile(self, how: How) -> Report:
        """Reconciles, and remembers how it went; and the options, where they led to the repository. That commits are to
        be verified is remembered also where one was not."""
        reached = False
        try:
            report = self.reconciler().reconcile(how)
            reached = report.trouble is None or self._is_unverified(report.trouble.code)
            self.memory.keep_problems([str(one) for one in report.problems if one.severity == "error"])
        except TraplineError as error:
            reached = isinstance(error, SourceError) and self._is_unverified(error.code)
            self.memory.keep_problems([str(error)])
            raise
        finally:
            if reached and self._remember:
                self.memory.keep_machine(remembered(self.options))
        if self._backend:
            self.memory.keep_backend(self._backend[1].name)
        self._write_status_file(report.revision)
        operations = report.settings.operations
        tell_expired(self.database, self.suppressions(), destinations=operations, now=self._now())
        return report

    def _is_unverified(self, code: str) -> bool:
        """Whether nothing but the commit was wrong; keys that cannot be read led nowhere."""
        return code == "unverified" and self.options.trust is not None and self.options.trust.keys.is_file()

    def name_of(self, identity: str) -> str:
        """The name of a detection, for people."""
        known = self.ledger.statuses().get(identity)
        return known.name if known else identity

    def reconciler(self) -> Reconciler:
        """The reconciler of this home. Raises TraplineError where nobody ever said which repository it follows."""
        if self._reconciler is None:
            options = self.options
            if not options.repository:
                raise TraplineError(
                    f"nobody has said which repository the home {options.home} follows",
                    remedy="name it with --repository or TRAPLINE_REPOSITORY",
                )
            mirror = Mirror(
                options.repository,
                options.home / "mirror.git",
                ref=options.ref,
                timeout=options.git_seconds,
                access=options.access,
                trust=options.trust,
            )
            house = House(
                ledger=self.ledger,
                memory=self.memory,
                overrides=self.overrides,
                logs=self.logs,
                mirror=mirror,
                packs=HomePacks(
                    PackStore(options.home / "packs", timeout=options.git_seconds, access=options.access),
                    self.memory,
                    env=os.environ,
                    now=self._now,
                ),
                home=options.home,
                root=options.root,
                address=f"{redact(options.repository)} {options.ref} {options.root}".strip(),
                verifies=options.trust is not None,
                backend_for=lambda settings: self._chosen(settings)[0],
                now=self._now,
                on_progress=self._getting_on,
                on_healed=self._forget_warm,
                stopping=self.halt.is_set,
                against_tables=self._against_tables,
            )
            self._reconciler = Reconciler(house)
        return self._reconciler

    def tick(self, *, by_schedule: bool = False) -> TickReport:
        """Reads what is due and records what the detections say of it.

        Detections without a schedule of their own are due now; `by_schedule`, for who ticks again and again, they are
        due each `schedule.every`, and a clock that jumps ahead is not followed at once.
        """
        settings = self.settings()
        if settings is None:  # nothing was ever deployed
            return TickReport()
        context = self._context(settings)
        ticker = Ticker(
            replace(context, now=self._steady) if by_schedule else context,
            threads=os.cpu_count() or 1,
            by_schedule=by_schedule,
            put_off=self._put_off if by_schedule else None,
            stopping=self.halt.is_set,
            on_scan=lambda planned: self._on_progress(f"scanning {planned.request.table} {planned.request.window}"),
            on_batch=lambda: self.beat("tick"),
        )
        with self._turn("tick"):
            return ticker.tick()

    def streams(self) -> list[str]:
        """The tables to be listened to now, each by calling `listen` again and again, in a thread of its own."""
        settings = self.settings()
        return [] if settings is None else self._listeners.wanted(self._context(settings))

    def listen(self, table: str) -> TickReport:
        """Waits a moment for records to land in a table, and records what the detections say of them.

        Raises SourceDown where the stream cannot be asked now.
        """
        report = self._listeners.listen(table, self._context(self.settings() or Settings()))
        if report.opened or report.updated:
            self.hurry("deliver")
        return report

    def listen_no_more(self, table: str) -> None:
        """Gives up the stream of a table; what was not recorded comes again to whoever listens next."""
        self._listeners.close(table)

    def next_tick(self, *, after: datetime) -> datetime:
        """When anything is due for the first time after that moment."""
        return next_due(self.ledger.running().values(), self.settings() or Settings(), after=after)

    def outlook(self, desired: Sequence[Detection], settings: Settings) -> list[Outlook]:
        """What these detections, in place of those that run, mean for the bill. Raises no QueryError."""
        running = self.ledger.running().values()
        lake = self.lake(settings)
        return outlook(desired, running, rules=self._rules, engine=lake, settings=settings, now=self._now())

    def replay(self, alert: Mapping[str, Any]) -> Replay:
        """Runs an alert's build over its window again; nothing is recorded. `alert` is a row of the table `alerts`."""
        return replay(alert, self._context(self.settings() or Settings()))

    def replay_failures(self, identity: str) -> FailureReplay:
        """Brings a detection's failures past what is live of it. Raises TraplineError where nothing of it is live."""
        with self._turn("tick"):
            live = self.ledger.deployments().get(identity)
            if live is None:
                raise TraplineError(
                    f"{self.name_of(identity)} is not deployed, so there is nothing to replay its failures with",
                    remedy="its failures stay; once a version is live it replays them by itself",
                )
            return replay_failures(self._context(self.settings() or Settings()), live, stopping=self.halt.is_set)

    def replay_set_aside(self, table: str | None = None, key: str | None = None) -> StreamReplay:
        """Tries again what is set aside of the streams: all of it, of one table, or under one key. Raises TraplineError
        where nothing is set aside under that key."""
        with self._turn("tick"):
            context = self._context(self.settings() or Settings())
            return replay_set_aside(
                context,
                lambda table: self._listeners.reopener(table, context),
                table=table,
                key=key,
                threads=os.cpu_count() or 1,
                stopping=self.halt.is_set,
            )

    def deliver(self, *, wait: bool = True) -> tuple[DeliveryReport, list[Problem]]:
        """Sends what is due; the problems are those of destinations that cannot be used now as they are configured.

        Without `wait` what is due is started, and what has come to an end is settled: for who comes again each time
        that `hurry` is called with `deliver`, and calls `finish_deliveries` in the end.
        """
        settings = self.settings() or Settings()
        return self._dispatch.deliver(settings) if wait else self._dispatch.turn(settings)

    def next_delivery(self, longest: timedelta) -> timedelta:
        """The pause until `deliver` has something to do, at most so long; `hurry` may be called before."""
        return self._dispatch.pause(longest)

    def finish_deliveries(self, *, within: float) -> None:
        """Waits at most so many seconds for what is being sent, and writes down what came of it."""
        self._dispatch.finish(within)

    def remove_builds(self) -> None:
        """Removes every build of this home, for a home that ends with the process."""
        if self._backend:
            _, backend, pool = self._backend
            pool.close()
            backend.remove(backend.built())

    def settings(self) -> Settings | None:
        """The last usable trapline.yml; the same object for as long as its text is the same."""
        kept = self.memory.settings()
        if kept is None:
            return None
        if self._parsed is None or self._parsed[0] != kept[1]:
            self._parsed = (kept[1], parse(kept[1], env=os.environ)[0])
        return self._parsed[1]

    def suppressions(self) -> Suppressions:
        """What the last usable suppressions.yml says."""
        text = self.memory.suppressions()
        if self._suppressions[0] != text:
            self._suppressions = (text, parse_suppressions(text)[0])
        return self._suppressions[1]

    def lake(self, settings: Settings) -> Lake:
        """The tables of the settings, for as long as these hold."""
        with self._choosing:
            if self._lake is None or not self._lake.is_of(settings):
                if self._lake:
                    self._lake.close()
                self._lake = self._another_lake(settings)
            return self._lake

    def _another_lake(self, settings: Settings) -> Lake:
        return Lake(settings, home=self.options.home, scope=self.memory.scope(), now=self._now)

    def _against_tables(self, detection: Detection, settings: Settings) -> list[Problem]:
        """What its `where` names that its tables have not. Of settings that do not hold yet the lake is another one:
        ours may be read from now."""
        lake = self._lake
        if lake is not None and lake.is_of(settings):
            return problems(detection, lake, settings)
        with closing(self._another_lake(settings)) as other:
            return problems(detection, other, settings)

    def _write_status_file(self, revision: str) -> None:
        """How every detection stands, where it has changed: for whoever reports it elsewhere."""
        result = current_result(self.database, revision=revision, now=self._now())
        told = replace(result, at=datetime.min)
        if told != self._written:
            path = self.options.home / STATUS_FILE
            try:
                write_status_file(path, result)
            except OSError as error:
                log.warning("%s cannot be written: %s", path, error.strerror)
            else:
                self._written = told

    def _forget_warm(self, digest: BuildDigest) -> None:
        """A warm worker of what was altered by hand would go on with it."""
        if self._backend:
            self._backend[2].forget([digest])

    def _getting_on(self, message: str) -> None:
        self.beat("reconcile")
        self._on_progress(message)

    @contextmanager
    def _turn(self, step: str) -> Iterator[None]:
        """One process at a time does a step in one home, such as `--once` beside a controller that loops."""
        path = self.options.home / f"{step}.lock"
        try:
            file = path.open("w")
        except OSError as error:
            raise TraplineError(
                f"{path} cannot be written: {error.strerror}",
                remedy="look whether its disk has room, and whether this user may write there",
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._on_progress(f"waiting for another process that is at its {step} in this home")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _context(self, settings: Settings) -> Context:
        return Context(
            database=self.database,
            ledger=self.ledger,
            overrides=self.overrides,
            logs=self.logs,
            policy=Policy(self.suppressions(), settings.alerts.storm),
            engine=self.lake(settings),
            pool=self._chosen(settings)[1],
            settings=settings,
            rules=self._rules,
            now=self._now,
        )

    def _chosen(self, settings: Settings) -> tuple[Backend, Pool]:
        """The backend that the flags or the settings ask for, chosen anew only where these change."""
        wanted = (
            self.options.sandbox or settings.sandbox.backend,
            self.options.base_image or settings.sandbox.base_image,
            settings.sandbox.runtime,
        )
        with self._choosing:
            if self._backend is None or self._backend[0] != wanted:
                home = self.options.home.resolve()
                scope = self.memory.scope()
                backend, why = choose(
                    wanted[0], home=home / "builds", base_image=wanted[1], scope=scope, runtime=wanted[2]
                )
                self._refuse_less(wanted[0], backend, why)
                self.sandbox = why
                self._on_progress(why)
                if self._backend:  # its idle workers end; what is lent of it may go on until we end
                    self._backend[2].close()
                    self._former.append(self._backend[1])
                self._backend = (wanted, backend, Pool(backend))
            return self._backend[1], self._backend[2]

    def _refuse_less(self, wanted: str, backend: Backend, why: str) -> None:
        """What a home runs in is never made weaker unasked: not by an engine that is away, and not by a commit."""
        known, asked = self.memory.backend(), self.options.sandbox not in (None, "auto")
        if asked or known not in STRENGTH or STRENGTH.index(backend.name) <= STRENGTH.index(known):
            return
        backend.close()
        if wanted == "auto":
            message = f"this home runs on {known}, which does not answer now ({why_not_stronger(why)})"
            remedy = f"bring {known} back, or say --sandbox {backend.name} to go on with that"
        else:
            message = f"this home runs on {known}, and trapline.yml asks for {wanted}, which is weaker"
            remedy = f"set sandbox.backend back, or say --sandbox {wanted} where the controller is started"
        raise BackendUnavailable(message, remedy=remedy)
