"""The alerts that the matches of a test case would open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from threading import Lock

import sqlalchemy as sa

from trapline.alerts.fold import Change, fold
from trapline.alerts.match import Match
from trapline.alerts.origin import Origin, ScanSummary
from trapline.deploy.simulate import Found
from trapline.detection.model import Detection
from trapline.state.schema import alerts, matches, metadata
from trapline.window import Window

_turn = Lock()


def opened(detection: Detection, found: Sequence[Found], times: Sequence[datetime]) -> list[Change]:
    """The alerts that these matches open, in that order: as production folds them, with nothing known before.

    `times` are those of all records, whether they match or not.
    """
    window = Window(min(times), max(times) + timedelta(microseconds=1))
    last = window.end - timedelta(microseconds=1)  # when that happens which names no record, as in production
    origin = Origin(detection.identity, detection.config, revision="", build_digest="")
    scan = ScanSummary("", detection.config.tables[0], window, window.end, 0.0, len(times), 0, [detection.name])
    fresh = [
        Match(f"{index:09}", last if row is None else times[row], answer, None)
        for index, (row, answer) in enumerate(found)
    ]
    with _turn, _empty().connect() as connection:
        changes = fold(connection, origin, scan, fresh, now=window.end)
    threshold = detection.config.alert.threshold
    return sorted(changes, key=lambda change: (change.joined[threshold - 1].event_at, change.joined[threshold - 1].id))


@cache
def _empty() -> sa.Engine:
    """A database of alerts in which there is nothing, and never will be; for one at a time."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine, tables=[matches, alerts])
    return engine
