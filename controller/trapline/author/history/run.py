"""Running versions of detections over a past window, as a controller would have: nothing is delivered, and no home is
changed.

A controller's tick does it, in a home that ends with the run: shared scans, sandbox, verdicts, alerts on event time.
Only this is other than it would be live. All records of the window have come, so that nothing waits for late ones. A
rule in the batch format sees the windows of its schedule, those of them that lie whole in the window. And budgets of
tables, which are about what a controller reads, are looked at once, before anything is read. What is not other, for it
cannot be seen: windows of which such a rule would be shown nothing are not scanned.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from trapline.alerts.operational import open_alarms
from trapline.alerts.origin import ScanSummary
from trapline.alerts.record import Policy
from trapline.author.checkout import Checkout
from trapline.author.history.foresee import Rehearsal, rehearse, too_much
from trapline.author.history.occupied import Sparse, looks
from trapline.author.history.past import Past as Past
from trapline.author.history.past import PastAlert as PastAlert
from trapline.author.history.past import PastMatch as PastMatch
from trapline.author.history.past import Version as Version
from trapline.author.history.past import findings_of
from trapline.author.workshop import Workshop
from trapline.clock import Clock
from trapline.deploy.ledger import Ledger, Status, Sync
from trapline.deploy.overrides import Overrides
from trapline.query.lake import Lake
from trapline.run.audit import ALARM
from trapline.run.context import Context
from trapline.run.plan import PlannedScan
from trapline.run.recorder import TickReport
from trapline.run.rules import Rules
from trapline.run.tick import Ticker
from trapline.settings import Settings
from trapline.state.checkpoints import read_checkpoints
from trapline.state.costs import Costs
from trapline.state.database import Database
from trapline.state.logs import Logs
from trapline.suppressions import Suppressions
from trapline.window import Window
from trapline.workers.pool import Pool

_ALL_IN_ONE = 0  # notifications that are told by themselves: nobody reads any
_MISJUDGED = (
    "Trapline kept records from it that it has something to say of, and then showed it all: please report this, it is "
    "an error of Trapline's"
)


@dataclass(frozen=True)
class History:
    """What the versions said, by their identities, and what it took. `scans` are those that an engine was asked for;
    `records` are those of all windows, each once; `read` has the bytes by table."""

    window: Window
    pasts: Mapping[str, Past]
    scans: Sequence[ScanSummary]
    bytes_scanned: int
    records: int
    seconds: float
    read: Mapping[str, int] = field(default_factory=dict)


def lake_of(checkout: Checkout, home: Path, now: Clock) -> Lake:
    """The tables of a checkout, as the controller of this home reads them. The home need not exist."""
    return Lake(checkout.settings, home=home, scope="author", now=now)


def history(
    versions: Sequence[Version],
    window: Window,
    *,
    lake: Lake,
    workshop: Workshop,
    settings: Settings,
    suppressions: Suppressions,
    most_bytes: int | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> History:
    """Runs them all over the window; those that read the same share its scans, also versions of one detection.

    What one of them fails on is in its `Past`, and never raised. Of a table of which this would read more than
    `most_bytes`, or else than its `budget.day`, nothing is read, where that can be told before.
    """
    if len({version.identity for version in versions}) != len(versions):
        raise ValueError("two versions have one identity")
    started = time.monotonic()
    plan = rehearse(versions, window, settings)
    refused = too_much(plan, lake, settings, most_bytes)
    with _home() as database, closing(Pool(workshop.builder.backend)) as pool, _nobody_is_alarmed():
        ledger = Ledger(database)
        for version in plan.versions:
            if version.identity not in refused:
                _promote(ledger, version, plan)
        on_progress("looking where records lie")
        known = list(looks(_without(refused, plan.scans), lake, settings))
        for look in known:
            costs, now = Costs(database), plan.now
            costs.add(look.table, look.identities, queries=look.queries, bytes=look.bytes_scanned, at=now)
        context = Context(
            database=database,
            ledger=ledger,
            overrides=Overrides(database),
            logs=Logs(database),
            policy=Policy(suppressions, _ALL_IN_ONE),
            policies={one.identity: Policy(one.suppressions, _ALL_IN_ONE) for one in versions if one.suppressions},
            engine=Sparse(lake, known),
            pool=pool,
            settings=plan.settings,
            rules=Rules(ledger),
            now=lambda: plan.now,
        )
        scanned: list[PlannedScan] = []

        def on_scan(planned: PlannedScan) -> None:
            scanned.append(planned)
            on_progress(f"scan {len(scanned)} of {len(plan.scans)}: {planned.request.table} {planned.request.window}")

        report = Ticker(context, threads=os.cpu_count() or 1, on_scan=on_scan).tick()
        return _summed(versions, window, context, report, scanned, refused, seconds=time.monotonic() - started)


def _summed(
    versions: Sequence[Version],
    window: Window,
    context: Context,
    report: TickReport,
    scanned: Sequence[PlannedScan],
    refused: Mapping[str, str],
    *,
    seconds: float,
) -> History:
    """What the run left, put together."""
    records = {(scan.table, scan.window): scan.records for scan in report.scans}
    through, read = _through(context.database, scanned), _read(context.database)
    with context.database.reading() as connection:
        misjudged = set(open_alarms(connection, kind=ALARM))
    pasts = {}
    for version in versions:
        identity = version.identity
        error = refused.get(identity) or _stopped(report, identity) or report.errors.get(identity)
        pasts[identity] = Past(
            version,
            **vars(findings_of(context.database, identity, context.settings)),
            errors=[*([error] if error else []), *([_MISJUDGED] if version.build in misjudged else [])],
            windows=len(through[identity]),
            records=sum(records[each] for each in through[identity]),
            read=read[identity],
        )
    total = read[""]
    scans = [scan for scan in report.scans if scan.query_id]
    return History(window, pasts, scans, total.total(), sum(records.values()), seconds, total)


def _without(refused: Collection[str], scans: Iterable[PlannedScan]) -> list[PlannedScan]:
    """Scans as they are made for the others."""
    kept = ((one, tuple(each for each in one.members if each.identity not in refused)) for one in scans)
    return [replace(one, members=members) for one, members in kept]


def _through(database: Database, scanned: Sequence[PlannedScan]) -> Mapping[str, set[tuple[str, Window]]]:
    """The windows of tables that each version got through."""
    checkpoints = read_checkpoints(database)
    through: dict[str, set[tuple[str, Window]]] = defaultdict(set)
    for planned in scanned:
        table, window = planned.request.table, planned.request.window
        for member in planned.members:
            if window.end <= checkpoints[member.identity, table].position:
                through[member.identity].add((table, window))
    return through


def _read(database: Database) -> Mapping[str, Counter[str]]:
    """The bytes of each table that were read for each version; for all together where there is no identity."""
    read: dict[str, Counter[str]] = defaultdict(Counter)
    for cost in Costs(database).since(date.min):
        read[cost.identity][cost.table] += cost.bytes
    return read


def _stopped(report: TickReport, identity: str) -> str:
    reason = report.quarantined.get(identity, "").removeprefix("quarantined: ")
    return reason and f"it was stopped where a controller would quarantine it: {reason}"


def _promote(ledger: Ledger, version: Version, plan: Rehearsal) -> None:
    detection, deployment = version.detection, plan.deployments[version.identity]
    ledger.promote(
        detection,
        build=version.build,
        deploy=deployment.deploy_digest,
        revision=deployment.revision,
        kind="deployed",
        status=Status(version.identity, detection.name, detection.path, Sync.SYNCED, deployment.revision, plan.now),
        now=plan.now,
    )


@contextmanager
def _home() -> Iterator[Database]:
    """The state of a home that ends with the run."""
    with TemporaryDirectory(prefix="trapline-") as home:
        database = Database.in_home(Path(home))
        try:
            yield database
        finally:
            database.close()


@contextmanager
def _nobody_is_alarmed() -> Iterator[None]:
    """What would be an alarm of a controller is in the result, and not logged besides."""

    def is_no_alarm(record: logging.LogRecord) -> bool:
        return record.module not in ("operational", "storm")

    log = logging.getLogger("trapline")
    log.addFilter(is_no_alarm)
    try:
        yield
    finally:
        log.removeFilter(is_no_alarm)
