"""What a change of detections means for the bill: what one scan of a table reads at most, before it and after."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trapline.deploy.ledger import Deployment
from trapline.detection.model import Detection, Mode
from trapline.query.engine import Engine, QueryError, ScanRequest
from trapline.run.rules import NOTHING, Known, Rules, known_of, wanted_by
from trapline.settings import Settings
from trapline.window import Window

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """One scan of a table over the time between two ticks, in bytes at most: None where nobody reads the table, or the
    engine cannot tell. `trouble` says why the table cannot be looked at."""

    table: str
    before: int | None
    after: int | None
    scans_per_day: int
    trouble: str = ""


def outlook(
    desired: Sequence[Detection],
    running: Collection[Deployment],
    *,
    rules: Rules,
    engine: Engine,
    settings: Settings,
    now: datetime,
) -> list[Outlook]:
    """For each table that either reads. Nothing is read but what the engines need to know of the tables."""
    enabled = [one for one in desired if one.config.enabled]
    configs = [one.config for one in enabled] + [one.config for one in running]
    read = {table for config in configs for table in config.tables}
    tables = sorted(read & set(settings.tables))
    found = []
    for table in tables:
        end = now - settings.tables[table].lag
        request = ScanRequest(table, Window(end - settings.schedule.every, end))
        before = [(rules.of(one), one.config.query.where) for one in running if table in one.config.tables]
        after = [(rule_of(one), one.config.query.where) for one in enabled if table in one.config.tables]
        now_read, trouble = _read_at_most(engine, request, before)
        then_read, later = _read_at_most(engine, request, after)
        found.append(Outlook(table, now_read, then_read, -(-DAY // settings.schedule.every), later or trouble))
    return found


def rule_of(detection: Detection) -> Known:
    """What is known of a detection's rule that is not live."""
    if detection.mode is Mode.BATCH:
        return NOTHING
    return known_of(detection.files[detection.script].content, detection.modules)


def _read_at_most(
    engine: Engine, request: ScanRequest, members: Sequence[tuple[Known, str | None]]
) -> tuple[int | None, str]:
    if not members:
        return None, ""
    wanted = wanted_by([rule for rule, _ in members], [where for _, where in members], audit=0)
    try:
        return engine.estimate(request, wanted), ""
    except QueryError as error:
        return None, str(error)
