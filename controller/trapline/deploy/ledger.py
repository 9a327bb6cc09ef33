"""What the database knows of deployments: their rows, their statuses and the events that tell their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from trapline.deploy.digest import DeployDigest
from trapline.detection.model import Detection, DetectionConfig, Mode
from trapline.state.database import Database
from trapline.state.schema import UTCDateTime, deployments, detections, events, locks, meta
from trapline.workers.interface import BuildDigest

ROLLBACKS = 2  # earlier builds kept per detection, so that going back needs no build


class Sync(StrEnum):
    """How a detection stands against git."""

    SYNCED = "synced"
    STALLED = "stalled"  # a person must act
    WAITING = "waiting"  # tried again after a while
    DISABLED = "disabled"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The fact that one detection runs at one digest."""

    identity: str
    name: str
    build_digest: BuildDigest
    deploy_digest: DeployDigest
    revision: str
    mode: Mode
    config: DetectionConfig
    deployed_at: datetime
    failing_since: datetime | None
    health_message: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Deployment:
        return cls(**{**row, "mode": Mode(row["mode"]), "config": DetectionConfig.model_validate(row["config"])})


@dataclass(frozen=True, slots=True)
class Status:
    """How one detection that git or the engine knows of stands against git."""

    identity: str
    name: str
    path: str
    sync: Sync
    revision: str
    updated_at: datetime
    message: str = ""
    attempts: int = 0
    retry_at: datetime | None = None

    @classmethod
    def of(cls, detection: Detection, sync: Sync, *, revision: str, now: datetime) -> Status:
        """The status of a detection with which all is well."""
        return cls(detection.identity, detection.name, detection.path, sync, revision, now)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Status:
        return cls(**{**row, "sync": Sync(row["sync"])})


class Ledger:
    """Reads and writes the deployments in the state database; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def deployments(self) -> dict[str, Deployment]:
        """What is live, by identity."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(deployments).order_by(deployments.c.name)).mappings()
            return {row["identity"]: Deployment.from_row(dict(row)) for row in rows}

    def statuses(self) -> dict[str, Status]:
        """Every detection that was ever seen, by identity."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(detections).order_by(detections.c.name)).mappings()
            return {row["identity"]: Status.from_row(dict(row)) for row in rows}

    def promote(
        self,
        detection: Detection,
        *,
        build: BuildDigest,
        deploy: DeployDigest,
        revision: str,
        kind: str,
        now: datetime,
    ) -> None:
        """Makes one version live, atomically: from here on ticks run it and nothing else of this detection."""
        values = {
            "name": detection.name,
            "build_digest": build,
            "deploy_digest": deploy,
            "revision": revision,
            "mode": detection.mode.value,
            "config": detection.config.model_dump(mode="json"),
            "deployed_at": now,
            "failing_since": None,
            "health_message": "",
        }
        with self._database.transaction() as connection:
            _upsert(connection, deployments, {"identity": detection.identity}, values)
            _set_status(connection, Status.of(detection, Sync.SYNCED, revision=revision, now=now))
            _add_event(connection, detection.identity, kind, revision, now, build=build)

    def retire(self, identity: str, *, sync: Sync, revision: str, message: str, now: datetime) -> None:
        """Ends what is live of a detection; its matches, alerts and checkpoints stay."""
        with self._database.transaction() as connection:
            connection.execute(deployments.delete().where(deployments.c.identity == identity))
            connection.execute(
                detections.update()
                .where(detections.c.identity == identity)
                .values(sync=sync.value, message=message, revision=revision, updated_at=now, attempts=0, retry_at=None)
            )
            _add_event(connection, identity, sync.value, revision, now, message=message)

    def note(self, status: Status) -> None:
        """Writes a detection's status, and an event where it says something new."""
        with self._database.transaction() as connection:
            before = connection.execute(
                sa.select(detections.c.sync, detections.c.message).where(detections.c.identity == status.identity)
            ).one_or_none()
            _set_status(connection, status)
            if status.message and (before is None or tuple(before) != (status.sync.value, status.message)):
                _add_event(
                    connection,
                    status.identity,
                    status.sync.value,
                    status.revision,
                    status.updated_at,
                    message=status.message,
                )

    def set_health(self, identity: str, message: str, *, now: datetime) -> None:
        """Writes how the last run went; an empty message means well."""
        failing_since = sa.func.coalesce(deployments.c.failing_since, sa.bindparam("now", now, UTCDateTime()))
        with self._database.transaction() as connection:
            connection.execute(
                deployments.update()
                .where(deployments.c.identity == identity)
                .values(health_message=message, failing_since=failing_since if message else None)
            )

    def forget(self, identities: Iterable[str]) -> None:
        """Drops statuses; events stay."""
        with self._database.transaction() as connection:
            for identity in identities:
                connection.execute(detections.delete().where(detections.c.identity == identity))

    def history(self, identity: str) -> Sequence[Mapping[str, Any]]:
        """A detection's events, newest first."""
        with self._database.reading() as connection:
            query = sa.select(events).where(events.c.identity == identity).order_by(events.c.id.desc())
            return [dict(row) for row in connection.execute(query).mappings()]

    def builds_to_keep(self) -> set[BuildDigest]:
        """The live builds, and for each live detection the few before it."""
        newest_first = (
            sa.select(events.c.identity, events.c.build_digest)
            .join(deployments, deployments.c.identity == events.c.identity)
            .where(events.c.build_digest != "")
            .group_by(events.c.identity, events.c.build_digest)
            .order_by(sa.func.max(events.c.id).desc())
        )
        with self._database.reading() as connection:
            live = set(connection.execute(sa.select(deployments.c.build_digest)).scalars())
            history: dict[str, list[BuildDigest]] = defaultdict(list)
            for identity, digest in connection.execute(newest_first):
                history[identity].append(BuildDigest(digest))
        return live.union(*(digests[: ROLLBACKS + 1] for digests in history.values()))

    def lock(self, key: str) -> str | None:
        """A kept lock's text."""
        with self._database.reading() as connection:
            text: str | None = connection.execute(sa.select(locks.c.text).where(locks.c.key == key)).scalar()
            return text

    def keep_lock(self, key: str, text: str, *, now: datetime) -> None:
        with self._database.transaction() as connection:
            _upsert(connection, locks, {"key": key}, {"text": text, "locked_at": now})

    def settings(self) -> tuple[str, bytes] | None:
        """The revision and text of the last usable trapline.yml."""
        with self._database.reading() as connection:
            value = connection.execute(sa.select(meta.c.value).where(meta.c.key == "settings")).scalar()
        return (value["revision"], value["text"].encode()) if value else None

    def keep_settings(self, revision: str, text: bytes) -> None:
        with self._database.transaction() as connection:
            value = {"revision": revision, "text": text.decode()}
            _upsert(connection, meta, {"key": "settings"}, {"value": value})


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts at one revision: half a minute, doubling, at most an hour."""
    return min(timedelta(seconds=30 * 2 ** min(attempts, 10)), timedelta(hours=1))


def _upsert(connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    where = [table.c[column] == value for column, value in key.items()]
    if not connection.execute(table.update().where(*where).values(**values)).rowcount:
        connection.execute(table.insert().values(**key, **values))


def _set_status(connection: sa.Connection, status: Status) -> None:
    values = asdict(status) | {"sync": status.sync.value}
    _upsert(connection, detections, {"identity": values.pop("identity")}, values)


def _add_event(
    connection: sa.Connection,
    identity: str,
    kind: str,
    revision: str,
    now: datetime,
    *,
    build: str = "",
    message: str = "",
) -> None:
    connection.execute(
        events.insert().values(
            at=now, identity=identity, kind=kind, revision=revision, build_digest=build, message=message
        )
    )
