"""Real time: what lands in a table, brought past the detections that see it at once, the way that scans go."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic

import pyarrow as pa
import pyarrow.compute as pc

from trapline.deploy.ledger import Deployment
from trapline.errors import TraplineError
from trapline.query.embedded.landed import Landed
from trapline.query.engine import ScanRequest
from trapline.run.audit import breached, distrusted
from trapline.run.context import Context
from trapline.run.feed import Feeder, Interrupted
from trapline.run.plan import PlannedScan
from trapline.run.recorder import Recorder, TickReport
from trapline.run.scans import Fed, fed_apart
from trapline.run.verdicts import rule_of
from trapline.state.checkpoints import mark_streamed, read_checkpoints
from trapline.state.database import Database
from trapline.state.streams import (
    SetAside,
    StreamState,
    drop_streams,
    keep_keys,
    keep_stream,
    known_keys,
    read_streams,
    set_parcels_aside,
)
from trapline.streams.source import Backlog, Handed, Parcel, Source, SourceDown, Spoiled
from trapline.window import Window
from trapline.workers.interface import BuildDigest, WorkerError
from trapline.workers.limits import limits_of

log = logging.getLogger("trapline")

WAIT = 1.0
"""Seconds after which a listener to whom nothing comes looks up."""

_EXTEND_SECONDS = 10.0
_TELL_SECONDS = 2.0
_MINUTE = 60.0


@dataclass(slots=True)
class Meter:
    """How a stream gets on, since it is listened to."""

    parcels: int = 0
    records: int = 0
    lag_seconds: float | None = None
    trouble: str = ""
    _lately: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, parcels: int, records: int, lag: timedelta) -> None:
        self.parcels += parcels
        self.records += records
        self.lag_seconds = lag.total_seconds()
        self._lately.append((monotonic(), records))

    @property
    def per_second(self) -> float:
        """Records a second, over the last minute."""
        now = monotonic()
        while self._lately and now - self._lately[0][0] > _MINUTE:
            self._lately.popleft()
        return sum(records for _, records in self._lately) / _MINUTE


class Listener:
    """Listens to the stream of one table. Used by one thread."""

    def __init__(
        self,
        table: str,
        source: Source,
        state: StreamState,
        *,
        threads: int,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._table = table
        self._source = source
        self._state = state
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"landed {table}")
        self._width = threads
        self._stopping = stopping
        self._meter = Meter(state.parcels, state.records)
        self._backlog = Backlog(state.waiting, state.oldest)
        self._asked_at = state.told_at
        self._told = 0.0
        self._held: list[Handed] = []
        self._warm: frozenset[BuildDigest] = frozenset()

    def close(self) -> None:
        """What is handed over and not recorded is given up: it comes again."""
        self._source.close()
        self._threads.shutdown()

    def turn(self, context: Context) -> TickReport:
        """Waits for something to land, at most `WAIT` seconds, and records what the detections say of it.

        Raises TraplineError where the source cannot be asked, or nothing can be run or recorded now: then the next turn
        tries again, and nothing is lost.
        """
        report, before = TickReport(), (self._meter.parcels, self._meter.trouble)
        self._warm_up(context)
        try:
            if self._held:  # what could not be looked at the last time
                self._source.extend()
            else:
                asked_at = context.now()
                self._held = self._collect(context)
                _mark(context, self._table, asked_at)
                self._asked_at = asked_at
            if self._held:
                with self._kept(), suppress(Interrupted):  # what is not done comes again
                    self._work(context, self._held, report)
                    self._held = []
            self._meter.trouble = ""
        except Exception as error:
            self._meter.trouble = trouble_of(error)
            raise
        finally:
            self._tell(context, news=before != (self._meter.parcels, self._meter.trouble))
            _note(context, report)
        return report

    def _warm_up(self, context: Context) -> None:
        """A worker for each detection that listens, before anything lands."""
        members = listening(context, self._table)
        cold = [one for one in members if one.build_digest not in self._warm]

        def start(one: Deployment) -> None:
            with suppress(WorkerError):  # which is said once it is asked something
                context.pool.warm(one.build_digest, rule_of(one), limits_of(context.settings, one.config.limits))

        list(self._threads.map(start, cold))
        self._warm = frozenset(one.build_digest for one in members)

    def _collect(self, context: Context) -> list[Handed]:
        """What lands within the pause after the first, or until there is enough, or nothing more."""
        settings = context.settings.tables[self._table].lands
        pause = settings.pause.total_seconds() if settings else 0.0
        most, found = context.settings.realtime.batch, list(self._source.receive(wait=WAIT))
        until = monotonic() + pause
        while found and _count(found) < most and (left := until - monotonic()) > 0 and not self._stopping():
            try:
                more = self._source.receive(wait=left)
            except SourceDown:  # which the next turn hears too; what is handed over is worked on
                break
            if not more:  # a queue that has nothing may say so at once: to ask again and again would cost
                break
            found += more
        return found

    def _work(self, context: Context, handed: Sequence[Handed], report: TickReport) -> None:
        with context.database.reading() as connection:
            known = known_keys(connection, self._table, [one.what.key for one in handed])
        fresh = {one.what.key: one.what for one in handed if one.what.key not in known}  # each once
        spoiled = [what for what in fresh.values() if isinstance(what, Spoiled)]
        if spoiled:
            now = context.now()
            with context.database.transaction() as connection:
                set_parcels_aside(connection, [_aside(self._table, what, now) for what in spoiled])
        parcels = [what for what in fresh.values() if isinstance(what, Parcel)]
        for some in _together(parcels, context.settings.realtime.batch):
            self._look(context, some, report)
            lag = context.now() - min(parcel.landed_at for parcel in some)
            self._meter.add(len(some), sum(parcel.records.num_rows for parcel in some), lag)
        self._source.done([one.receipt for one in handed])

    def _look(self, context: Context, parcels: Sequence[Parcel], report: TickReport) -> None:
        """Looks at parcels; one that Trapline itself fails on is set aside alone."""
        try:
            look(context, self._table, parcels, report, self._threads, width=self._width, stopping=self._stopping)
        except (TraplineError, Interrupted):
            raise
        except Exception as error:
            if len(parcels) > 1:
                for parcel in parcels:
                    self._look(context, [parcel], report)
                return
            [parcel] = parcels
            log.exception("%s of table %s cannot be looked at", parcel.key, self._table)
            reason = f"looking at it failed in Trapline itself: {error!r}"
            spoiled = Spoiled(parcel.key, parcel.landed_at, reason, origin="")
            with context.database.transaction() as connection:
                set_parcels_aside(connection, [_aside(self._table, spoiled, context.now())])

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Around work: the source is told now and then that what it handed over is still worked on."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(_EXTEND_SECONDS):
                with suppress(SourceDown):  # then it comes again, and is known
                    self._source.extend()

        thread = threading.Thread(target=keep, name=f"keep {self._table}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _tell(self, context: Context, *, news: bool) -> None:
        """Writes down how it gets on: where there is news, and now and then, when the source is asked what waits."""
        due = monotonic() - self._told >= _TELL_SECONDS
        if not (news or due):
            return
        if due:
            self._told = monotonic()
            with suppress(SourceDown):  # what waited there the last time still does
                self._backlog = self._source.backlog()
        meter, backlog = self._meter, self._backlog
        state = replace(
            self._state,
            told_at=self._asked_at,
            positions=self._source.positions,
            trouble=meter.trouble,
            parcels=meter.parcels,
            records=meter.records,
            per_second=meter.per_second,
            lag_seconds=meter.lag_seconds,
            waiting=backlog.waiting,
            oldest=backlog.oldest,
        )
        with context.database.transaction() as connection:
            keep_stream(connection, state)


def trouble_of(error: Exception) -> str:
    """Why a stream is down, in words for people."""
    return str(error) if isinstance(error, TraplineError) else f"it failed in Trapline itself: {error!r}"


def look(
    context: Context,
    table: str,
    parcels: Sequence[Parcel],
    report: TickReport,
    threads: ThreadPoolExecutor,
    *,
    width: int,
    stopping: Callable[[], bool],
) -> None:
    """Brings parcels past every detection that sees the table in real time, and records what they say, and that the
    parcels are done, in one transaction. A detection that does not get through finds it with its next sweep."""
    records = pa.concat_tables([parcel.records for parcel in parcels])
    recorder = Recorder(context, report, stopping=stopping)
    context.rules.trust_all_but(distrusted(context))
    time = context.settings.tables[table].time
    context = replace(context, engine=Landed(records, time=time))
    feeder = Feeder(context, threads, width=width, stopping=stopping, allowance=recorder.allowance)
    fed: list[Fed] = []
    for planned in _planned(listening(context, table), records[time], context, table):
        fed += fed_apart(feeder, planned)
    wrong = [(one, found) for one in fed for found in one.findings if found.breaches and not found.error]
    for one, found in wrong:  # its predicate was: it is shown all of them
        breached(context, found.deployment, one.planned.request, records=found.breaches)
        context.rules.distrust({found.deployment.build_digest})
        fed += fed_apart(feeder, replace(one.planned, members=(found.deployment,)))
    said = [(found, one) for one in fed for found in one.findings if found.error or not found.breaches]
    for found, _ in said:
        if found.error and not found.its_fault:
            raise TraplineError(f"{found.deployment.name} cannot be run now: {found.error}")
    report.scans += [one.summary for one in fed if one.summary]
    report.ran |= {found.deployment.identity for found, _ in said}
    report.errors |= {member.identity: str(one.error) for one in fed if one.error for member in one.planned.members}
    with context.database.transaction() as connection:
        for found, one in said:
            if not found.error and (found.matches or found.failures) and one.summary:
                recorder.take_landed(connection, found, one.summary)
        keep_keys(connection, table, [parcel.key for parcel in parcels], now=context.now())
    for found, one in said:
        if found.error and one.summary:
            recorder.judge(found, one.planned.request, one.summary)


def listening(context: Context, table: str) -> list[Deployment]:
    """The detections that see what lands in a table."""
    return listeners(context.ledger.running().values()).get(table, [])


def listeners(deployments: Iterable[Deployment]) -> dict[str, list[Deployment]]:
    """By table, those that see what lands in it."""
    found: dict[str, list[Deployment]] = {}
    for one in deployments:
        if one.config.realtime:
            for table in one.config.tables:
                found.setdefault(table, []).append(one)
    return found


def listened_tables(context: Context) -> list[str]:
    """The tables that have to be listened to; of detections that see no more what lands, that is noted.

    What is known of the streams of other tables is forgotten: their detections read the lake again.
    """
    settings, found = context.settings, listeners(context.ledger.running().values())
    tables = [table for table in found if table in settings.tables and settings.tables[table].lands]
    wanted = {(one.identity, table) for table in tables for one in found[table]}
    known = read_checkpoints(context.database)
    mark_streamed(context.database, {pair: None for pair, one in known.items() if one.streamed and pair not in wanted})
    with context.database.reading() as connection:
        left = [state.table for state in read_streams(connection) if state.table not in tables]
    if left:
        drop_streams(context.database, left)
    return tables


def _mark(context: Context, table: str, since: datetime) -> None:
    """From now on what lands is seen by those who listen: until then a detection runs as often as any other."""
    known = read_checkpoints(context.database)
    pairs = [(one.identity, table) for one in listening(context, table)]
    mark_streamed(context.database, {pair: since for pair in pairs if pair in known and not known[pair].streamed})


def begin_stream(database: Database, table: str, kind: str, *, now: datetime) -> StreamState:
    """What is known of a table's stream; one that was never listened to, or is of another kind by now, begins: with
    the first detection that saw what lands. So does one to which nobody listened when that began."""
    known = read_checkpoints(database)
    began = [one.streamed for pair, one in known.items() if pair[1] == table and one.streamed]
    since = min(began, default=now)
    with database.transaction() as connection:
        for state in read_streams(connection):
            if (state.table, state.kind) == (table, kind) and not (began and state.told_at < since):
                return state
        state = StreamState(table, kind, since=since, told_at=since)
        keep_stream(connection, state)
    return state


def _planned(
    members: Collection[Deployment], times: pa.ChunkedArray, context: Context, table: str
) -> Iterator[PlannedScan]:
    """One look for all, over the time of the records; a detection sees nothing from before it began."""
    span = pc.min_max(times).as_py()
    if span["min"] is None:  # a record without a time is in no window
        return
    first, end = span["min"], span["max"] + timedelta(microseconds=1)
    checkpoints = read_checkpoints(context.database)
    groups: dict[datetime, list[Deployment]] = {}
    for member in members:
        known = checkpoints.get((member.identity, table))
        start = max(first, known.start) if known and known.start else first
        if start < end:
            groups.setdefault(start, []).append(member)
    for start, group in groups.items():
        yield PlannedScan(ScanRequest(table, Window(start, end)), tuple(group))


def _note(context: Context, report: TickReport) -> None:
    """What went wrong is the detection's health until a sweep gets through."""
    said = {**report.failures, **report.errors}
    for identity, deployment in context.ledger.deployments().items() if said else ():
        if identity in said and said[identity] != deployment.health_message:
            context.ledger.set_health(identity, said[identity], now=context.now())


def _together(parcels: Sequence[Parcel], most: int) -> Iterator[list[Parcel]]:
    """The parcels in as few parts as there may be; a larger one is a part of its own."""
    part: list[Parcel] = []
    for parcel in parcels:
        if part and sum(one.records.num_rows for one in part) + parcel.records.num_rows > most:
            yield part
            part = []
        part.append(parcel)
    if part:
        yield part


def _count(handed: Sequence[Handed]) -> int:
    return sum(one.what.records.num_rows for one in handed if isinstance(one.what, Parcel))


def _aside(table: str, what: Spoiled, now: datetime) -> SetAside:
    return SetAside(table, what.key, what.landed_at, what.reason, what.origin, now)
