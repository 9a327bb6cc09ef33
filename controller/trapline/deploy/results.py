"""What is told of deployments: what happened in a batch of events, or how every detection stands now. Reads only."""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from trapline.deploy.ledger import PROMOTIONS, Sync
from trapline.deploy.memory import Memory
from trapline.state.database import Database
from trapline.state.schema import deployments, detections, events
from trapline_plugins.text import cut

MOST_EVENTS = 500
"""The events of one batch, at most."""

_LONGEST_MESSAGE = 500
_STALE_SECONDS = 3600.0
_FAILURES = (Sync.STALLED.value, Sync.WAITING.value)
_STANDING = (*PROMOTIONS, *_FAILURES, Sync.SYNCED.value, Sync.DISABLED.value, Sync.RETIRED.value)
"""The events that say how a detection stands against git; what people decide by hand changes nothing of that."""


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """What happened to one detection, or how it stands. `action` is the kind of the event, or the sync status."""

    name: str
    identity: str
    action: str
    message: str
    revision: str
    build_digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What one telling says. `id` is the same in every attempt to tell it; a status has none."""

    revision: str
    at: datetime
    detections: tuple[DetectionResult, ...]
    repository: tuple[DetectionResult, ...] = ()
    """Events that concern no detection but the repository, such as a forced push."""
    id: str = ""

    failing: bool = False
    """Whether any detection of the repository is not as git says, so that somebody, or some time, is needed."""

    @property
    def state(self) -> Literal["success", "failure"]:
        return "failure" if self.failing else "success"

    def as_json(self) -> str:
        document: dict[str, Any] = {
            "type": "deploy",
            **({"id": self.id} if self.id else {}),
            "revision": self.revision,
            "at": self.at.isoformat(),
            "state": self.state,
            "detections": [{**asdict(result), "at": result.at.isoformat()} for result in self.detections],
            "repository": [
                {"action": each.action, "message": each.message, "revision": each.revision, "at": each.at.isoformat()}
                for each in self.repository
            ],
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def where_to_begin(database: Database) -> int:
    """The event after which a new way of telling begins: what the revision in force has brought is told, what was
    before it is not. 0 where nothing ever happened."""
    in_force = Memory(database).source().revision
    first_of_it = sa.select(sa.func.min(events.c.id)).where(events.c.revision == in_force)
    with database.reading() as connection:
        first: int | None = connection.execute(first_of_it).scalar()
        newest = connection.execute(sa.select(sa.func.max(events.c.id))).scalar()
    return first - 1 if first else int(newest or 0)


def end_of_batch(database: Database, after: int) -> int | None:
    """The id of the last event that is told together with the first one after `after`; None where there is none."""
    batch = sa.select(events.c.id).where(events.c.id > after).order_by(events.c.id).limit(MOST_EVENTS).subquery()
    with database.reading() as connection:
        end: int | None = connection.execute(sa.select(sa.func.max(batch.c.id))).scalar()
        return end


def result_of_events(database: Database, *, after: int, until: int) -> DeployResult | None:
    """What the events say whose ids lie in (after, until]; None where they are gone."""
    name = sa.func.coalesce(detections.c.name, events.c.identity).label("name")
    query = (
        sa.select(events, name)
        .outerjoin(detections, detections.c.identity == events.c.identity)
        .where(events.c.id > after, events.c.id <= until)
        .order_by(events.c.id)
    )
    # A commit is as good as all of it: what stalled before this batch, and still does, is part of its state.
    said = sa.select(sa.func.max(events.c.id)).where(events.c.id <= until, events.c.kind.in_(_STANDING))
    there = sa.exists().where(detections.c.identity == events.c.identity) | (events.c.id > after)
    last = said.where(there).group_by(events.c.identity)
    failing = sa.select(events.c.id).where(events.c.id.in_(last), events.c.kind.in_(_FAILURES)).limit(1)
    with database.reading() as connection:
        rows = connection.execute(query).all()
        is_failing = connection.execute(failing).first() is not None
    if not rows:
        return None
    results = [_result(row, action=row.kind, at=row.at) for row in rows]
    return DeployResult(
        id=f"deploy_{rows[0].id}_{rows[-1].id}",
        revision=rows[-1].revision,
        at=rows[-1].at,
        detections=tuple(result for result in results if result.identity),
        repository=tuple(result for result in results if not result.identity),
        failing=is_failing,
    )


def current_result(database: Database, *, revision: str, now: datetime) -> DeployResult:
    """How every detection stands, for the status file. `revision` is the newest one that was looked at."""
    build = sa.func.coalesce(deployments.c.build_digest, "").label("build_digest")
    query = (
        sa.select(detections, build)
        .outerjoin(deployments, deployments.c.identity == detections.c.identity)
        .order_by(detections.c.name, detections.c.identity)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    results = tuple(_result(row, action=row.sync, at=row.updated_at) for row in rows)
    return DeployResult(revision, now, results, failing=any(one.action in _FAILURES for one in results))


def write_status_file(path: Path, result: DeployResult) -> None:
    """Replaces the file atomically: whoever reads it sees the old one or the new one, after a power cut too."""
    _sweep(path)
    number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(result.as_json() + "\n")
            os.fchmod(number, 0o644)
            file.flush()
            os.fsync(number)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sweep(path: Path) -> None:
    """Removes what killed writers of this file left. A young one may be another's, who is writing now."""
    for left in path.parent.glob(f".{path.name}.*"):
        with suppress(OSError):  # another was faster, or it is not ours
            if left.stat().st_mtime < time.time() - _STALE_SECONDS:
                left.unlink()


def _result(row: Any, *, action: str, at: datetime) -> DetectionResult:
    message = cut(row.message, _LONGEST_MESSAGE)
    return DetectionResult(row.name, row.identity, action, message, row.revision, row.build_digest, at)
