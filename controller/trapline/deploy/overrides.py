"""What was decided against git: a detection rolled back or suspended by hand, or quarantined for its failures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from trapline.state.database import Database, upsert
from trapline.state.schema import deployments, detections, events, failures, overrides


class Kind(StrEnum):
    """`pinned`: this version, whatever git says. `suspended`: nothing of it runs, and nothing is deployed.

    `quarantined`: nothing of this version runs, for it went beyond its error budget; a new one ends it.
    """

    PINNED = "pinned"
    SUSPENDED = "suspended"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Override:
    """One decision. A pin's version is what was at `path` at `revision`, which was deployed as `deploy_digest`."""

    identity: str
    kind: Kind
    at: datetime
    reason: str = ""
    revision: str = ""
    path: str = ""
    deploy_digest: str = ""

    def __str__(self) -> str:
        what = {
            Kind.PINNED: f"pinned to {self.deploy_digest[:12]} by hand",
            Kind.SUSPENDED: "suspended by hand",
            Kind.QUARANTINED: "quarantined",
        }[self.kind]
        since = f"{what} since {self.at:%Y-%m-%d %H:%M} UTC"
        return f"{since}: {self.reason}" if self.reason else since


class Overrides:
    """Reads and writes the decisions; each method is one transaction, and every decision is an event in the history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, kind: Kind) -> dict[str, Override]:
        """The decisions of one kind, by identity."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(overrides).where(overrides.c.kind == kind.value)).mappings()
            return {row["identity"]: Override(**{**row, "kind": kind}) for row in rows}

    def decide(self, override: Override) -> None:
        """Puts a decision in force; one of the same kind before it ends."""
        with self._database.transaction() as connection:
            decide(connection, override)

    def release(self, identity: str, kinds: Collection[Kind] = tuple(Kind), *, now: datetime) -> list[Kind]:
        """Takes decisions back, and returns which there were."""
        with self._database.transaction() as connection:
            ours = (overrides.c.identity == identity) & overrides.c.kind.in_([kind.value for kind in kinds])
            found = [Kind(kind) for kind in connection.execute(sa.select(overrides.c.kind).where(ours)).scalars()]
            if found:
                connection.execute(overrides.delete().where(ours))
                if Kind.QUARANTINED in found:
                    _begin_anew(connection, identity)
                _say(connection, identity, "waiting", "it follows git again from the next look at the repository")
                told = " and ".join(f"no longer {kind}" for kind in found)
                values = {"at": now, "identity": identity, "kind": "resumed", "revision": "", "message": told}
                connection.execute(events.insert().values(**values))
            return found


def _begin_anew(connection: sa.Connection, identity: str) -> None:
    """What comes out of quarantine has its whole budget, and what it failed on is tried once more."""
    connection.execute(
        deployments.update()
        .where(deployments.c.identity == identity)
        .values(strikes=None, health_message="", failing_since=None)
    )
    aside = (failures.c.identity == identity) & failures.c.settled_at.is_(None)
    connection.execute(failures.update().where(aside).values(deploy_digest=""))


def decide(connection: sa.Connection, override: Override) -> None:
    """Puts a decision in force, in the caller's transaction."""
    key = {"identity": override.identity, "kind": override.kind.value}
    version = {name: getattr(override, name) for name in ("revision", "path", "deploy_digest")}
    upsert(connection, overrides, key, {**version, "reason": override.reason, "at": override.at})
    if override.kind is Kind.SUSPENDED:
        _say(connection, override.identity, "suspended", str(override))
    said = {"kind": override.kind.value, "at": override.at, "message": override.reason}
    connection.execute(events.insert().values(identity=override.identity, **said, **version))


def _say(connection: sa.Connection, identity: str, sync: str, message: str) -> None:
    """What the detection's status says until the next reconcile."""
    where = detections.c.identity == identity
    values = {"sync": sync, "message": message, "tried": "", "attempts": 0, "retry_at": None}
    connection.execute(detections.update().where(where).values(**values))
