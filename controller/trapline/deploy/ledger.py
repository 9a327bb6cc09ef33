"""What the database knows of deployments: their rows, their statuses and the events that tell their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from trapline.config.words import did_you_mean
from trapline.deploy.digest import DeployDigest, Version
from trapline.detection.model import Detection, DetectionConfig, Mode, stored_config
from trapline.errors import TraplineError
from trapline.state.database import Database, chunks, upsert
from trapline.state.schema import UTCDateTime, deployments, detections, events, modules, overrides, scripts
from trapline.workers.interface import BuildDigest

_HELD = ("suspended", "quarantined")
PROMOTIONS = ("deployed", "updated", "reconfigured", "healed")
"""The kinds of event that make a version live."""


class Sync(StrEnum):
    """How a detection stands against git."""

    SYNCED = "synced"
    STALLED = "stalled"  # a person must act
    WAITING = "waiting"  # tried again after a while
    PINNED = "pinned"  # rolled back by hand
    SUSPENDED = "suspended"  # by hand
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
    strikes: int | None = None
    """How many windows in a row it could not get through."""

    @classmethod
    def of(cls, detection: Detection, version: Version, *, revision: str, now: datetime) -> Deployment:
        """That a detection runs at this version, from now on and without a complaint."""
        return cls(
            identity=detection.identity,
            name=detection.name,
            build_digest=version.build,
            deploy_digest=version.deploy,
            revision=revision,
            mode=detection.mode,
            config=detection.config,
            deployed_at=now,
            failing_since=None,
            health_message="",
        )


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
    tried: str = ""
    attempts: int = 0
    retry_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Status:
        return cls(**{**row, "sync": Sync(row["sync"])})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: to one detection, or, where `identity` is empty, to the repository."""

    id: int
    at: datetime
    identity: str
    kind: str
    revision: str
    build_digest: str
    deploy_digest: str
    path: str
    message: str


_Version = tuple[str, str]


def _version(row: Mapping[str, Any]) -> _Version:
    """What a config is known by: the digest covers all of it."""
    return row["identity"], row["deploy_digest"]


class Ledger:
    """Reads and writes the deployments in the state database; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._configs: Mapping[_Version, DetectionConfig] = {}

    def deployments(self) -> dict[str, Deployment]:
        """What is live, by identity."""
        columns = [column for column in deployments.columns if column is not deployments.c.config]
        with self._database.reading() as connection:
            rows = [
                dict(row) for row in connection.execute(sa.select(*columns).order_by(deployments.c.name)).mappings()
            ]
            configs = self._read_configs(connection, rows)
        return {
            row["identity"]: Deployment(**{**row, "mode": Mode(row["mode"]), "config": configs[_version(row)]})
            for row in rows
        }

    def _read_configs(
        self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]
    ) -> Mapping[_Version, DetectionConfig]:
        """The config of each row. What was read before is kept: these are asked for with every look, and are long."""
        known = self._configs
        new = [row["identity"] for row in rows if _version(row) not in known]
        read: dict[_Version, DetectionConfig] = {}
        columns = (deployments.c.identity, deployments.c.deploy_digest, deployments.c.config)
        for chunk in chunks(new):
            for row in connection.execute(sa.select(*columns).where(deployments.c.identity.in_(chunk))).mappings():
                read[_version(dict(row))] = stored_config(row["config"])
        self._configs = {version: read.get(version) or known[version] for version in map(_version, rows)}
        return self._configs

    def live_builds(self) -> set[BuildDigest]:
        """The builds of what is live."""
        with self._database.reading() as connection:
            return set(connection.execute(sa.select(deployments.c.build_digest)).scalars())

    def code(self, build: BuildDigest) -> tuple[bytes, Mapping[str, bytes]] | None:
        """The script of a live build, and the other Python files of it by path; None where an earlier Trapline made it
        live."""
        script = sa.select(scripts.c.source).where(scripts.c.build_digest == build)
        others = sa.select(modules.c.path, modules.c.source).where(modules.c.build_digest == build)
        with self._database.reading() as connection:
            source: bytes | None = connection.execute(script).scalar()
            found = {row.path: row.source for row in connection.execute(others)}
        return None if source is None else (source, found)

    def running(self) -> dict[str, Deployment]:
        """What is live and neither suspended nor quarantined, by identity."""
        suspended = sa.select(overrides.c.identity).where(overrides.c.kind.in_(_HELD))
        with self._database.reading() as connection:
            held = set(connection.execute(suspended).scalars())
        return {identity: one for identity, one in self.deployments().items() if identity not in held}

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
        status: Status,
        now: datetime,
    ) -> None:
        """Makes one version live, atomically: from here on ticks run it and nothing else of this detection.

        `revision` is where the version is from; `kind` is one of PROMOTIONS.
        """
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
            "strikes": None,
        }
        live = deployments.c.identity == detection.identity
        with self._database.transaction() as connection:
            before = connection.execute(sa.select(deployments.c.deploy_digest).where(live)).scalar()
            if before != deploy:  # another version has done nothing wrong yet
                ours = (overrides.c.identity == detection.identity) & (overrides.c.kind == "quarantined")
                connection.execute(overrides.delete().where(ours))
            upsert(connection, deployments, {"identity": detection.identity}, values)
            script = detection.files[detection.script].content
            upsert(connection, scripts, {"build_digest": build}, {"source": script})
            for path, source in detection.modules.items():
                upsert(connection, modules, {"build_digest": build, "path": path}, {"source": source})
            for code in (scripts, modules):
                connection.execute(code.delete().where(~code.c.build_digest.in_(sa.select(deployments.c.build_digest))))
            _set_status(connection, status)
            version = {"build_digest": build, "deploy_digest": deploy, "path": detection.path}
            _add_event(connection, detection.identity, kind, revision, now, **version)

    def retire(self, identity: str, *, sync: Sync, revision: str, message: str, now: datetime) -> None:
        """Ends what is live of a detection; its matches and alerts stay."""
        with self._database.transaction() as connection:
            connection.execute(deployments.delete().where(deployments.c.identity == identity))
            connection.execute(overrides.delete().where(overrides.c.identity == identity))
            connection.execute(
                detections.update()
                .where(detections.c.identity == identity)
                .values(
                    sync=sync.value,
                    message=message,
                    revision=revision,
                    updated_at=now,
                    tried="",
                    attempts=0,
                    retry_at=None,
                )
            )
            _add_event(connection, identity, sync.value, revision, now, message=message)

    def note(self, status: Status) -> None:
        """Writes a detection's status, and an event where it says something new."""
        with self._database.transaction() as connection:
            before = connection.execute(
                sa.select(detections.c.sync, detections.c.message).where(detections.c.identity == status.identity)
            ).one_or_none()
            _set_status(connection, status)
            news = before is None or tuple(before) != (status.sync.value, status.message)
            mended = before is not None and before.sync in (Sync.STALLED, Sync.WAITING)
            if news and (status.message or mended):
                told = status.message
                _add_event(
                    connection, status.identity, status.sync.value, status.revision, status.updated_at, message=told
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

    def set_strikes(self, deployment: Deployment, strikes: int | None) -> None:
        """Writes how many windows in a row this version could not get through; nothing where another is live by now."""
        with self._database.transaction() as connection:
            connection.execute(deployments.update().where(*_this_version(deployment)).values(strikes=strikes))

    def forget(self, identities: Iterable[str]) -> None:
        """Drops statuses, and what was decided by hand; events stay."""
        gone = list(identities)
        if gone:
            with self._database.transaction() as connection:
                connection.execute(detections.delete().where(detections.c.identity.in_(gone)))
                connection.execute(overrides.delete().where(overrides.c.identity.in_(gone)))

    def say(self, identity: str, kind: str, *, revision: str, message: str, now: datetime) -> None:
        """Adds an event that changes no detection; `identity` is empty where it concerns the whole repository."""
        with self._database.transaction() as connection:
            _add_event(connection, identity, kind, revision, now, message=message)

    def history(self, identity: str | None = None, *, limit: int = 100) -> list[Event]:
        """What happened to one detection, or to all and to the repository, newest first."""
        query = sa.select(events).order_by(events.c.id.desc()).limit(limit)
        if identity is not None:
            query = query.where(events.c.identity == identity)
        with self._database.reading() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    def last(self, kind: str) -> dict[str, datetime]:
        """When an event of this kind last happened to each detection."""
        query = sa.select(events.c.identity, sa.func.max(events.c.at, type_=UTCDateTime()).label("at"))
        with self._database.reading() as connection:
            rows = connection.execute(query.where(events.c.kind == kind).group_by(events.c.identity)).all()
        return {row.identity: row.at for row in rows}

    def versions(self, identity: str) -> list[Event]:
        """The versions of a detection that were live, each as it was last promoted; the one that was new last first."""
        first, last = sa.func.min(events.c.id).label("first"), sa.func.max(events.c.id).label("last")
        each = (
            sa.select(first, last)
            .where(events.c.identity == identity, events.c.kind.in_(PROMOTIONS), events.c.deploy_digest != "")
            .group_by(events.c.deploy_digest)
            .subquery()
        )
        query = sa.select(events).join(each, each.c.last == events.c.id).order_by(each.c.first.desc())
        with self._database.reading() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    def builds_to_keep(self, rollbacks: int) -> set[BuildDigest]:
        """The live builds, and for each live detection the `rollbacks` before it."""
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
        return live.union(*(digests[: rollbacks + 1] for digests in history.values()))


def is_running(connection: sa.Connection, deployment: Deployment) -> bool:
    """Whether this very version is still live, and neither suspended nor quarantined."""
    held = sa.exists().where(overrides.c.identity == deployment.identity, overrides.c.kind.in_(_HELD))
    query = sa.select(deployments.c.identity).where(*_this_version(deployment), ~held)
    return connection.execute(query).first() is not None


def _this_version(deployment: Deployment) -> tuple[sa.ColumnElement[bool], ...]:
    return deployments.c.identity == deployment.identity, deployments.c.deploy_digest == deployment.deploy_digest


def find(ledger: Ledger, name: str) -> Status:
    """The detection of this id, name or folder, the first of these that there is: what a pack calls its folders is in
    nobody's way. Raises TraplineError that names those that may have been meant."""
    statuses = ledger.statuses()
    if name in statuses:
        return statuses[name]
    found = [one for one in statuses.values() if one.name == name]
    found = found or [one for one in statuses.values() if name in (one.path, one.path.rsplit("/", 1)[-1])]
    if len(found) == 1:
        return found[0]
    known = [status.name for status in statuses.values()]
    remedy = did_you_mean(name, known) or "`trapline status` lists them"
    if found:
        remedy = f"name it by its id: {', '.join(sorted(status.identity for status in found))}"
    raise TraplineError(
        f"there is no one detection {name!r}" if found else f"there is no detection {name!r}", remedy=remedy
    )


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts at one revision: half a minute, doubling, at most an hour."""
    return min(timedelta(seconds=30 * 2 ** min(attempts, 10)), timedelta(hours=1))


def _set_status(connection: sa.Connection, status: Status) -> None:
    values = asdict(status) | {"sync": status.sync.value}
    upsert(connection, detections, {"identity": values.pop("identity")}, values)


def _add_event(
    connection: sa.Connection,
    identity: str,
    kind: str,
    revision: str,
    now: datetime,
    *,
    message: str = "",
    **version: str,
) -> None:
    values = {"at": now, "identity": identity, "kind": kind, "revision": revision, "message": message, **version}
    connection.execute(events.insert().values(**values))
