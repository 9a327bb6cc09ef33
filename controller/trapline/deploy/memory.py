"""What a restart needs besides the deployments: settings, locks, seals, the state of the source, how a home is run."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trapline.state.database import Database, upsert
from trapline.state.schema import builds, locks, meta
from trapline.workers.interface import BuildDigest, Seal


@dataclass(frozen=True, slots=True)
class Source:
    """How the repository stood when it was last looked at. `error` is empty where that went well."""

    revision: str = ""
    reached_at: datetime | None = None
    error: str = ""
    failing_since: datetime | None = None


class Memory:
    """Small things kept in the state database; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def settings(self) -> tuple[str, bytes] | None:
        """The revision and text of the last usable trapline.yml."""
        value = self._value("settings")
        return (value["revision"], value["text"].encode()) if value else None

    def keep_settings(self, revision: str, text: bytes) -> None:
        if self.settings() != (revision, text):
            self._keep("settings", {"revision": revision, "text": text.decode()})

    def suppressions(self) -> bytes:
        """The text of the last usable suppressions.yml; empty where there is none."""
        return str(self._value("suppressions") or "").encode()

    def keep_suppressions(self, text: bytes) -> None:
        if self.suppressions() != text:
            self._keep("suppressions", text.decode())

    def pack(self, name: str) -> Mapping[str, Any]:
        """How a pack was set when it could be read last; empty where it never could."""
        return dict((self._value("packs") or {}).get(name, {}))

    def keep_packs(self, packs: Mapping[str, Mapping[str, Any]]) -> None:
        """Remembers how packs were set that could be read."""
        known = dict(self._value("packs") or {})
        if known != {**known, **packs}:
            self._keep("packs", {**known, **packs})

    def source(self) -> Source:
        """The state of the repository as it was last seen; all empty where nobody ever looked."""
        value = self._value("source") or {}
        return Source(
            revision=value.get("revision", ""),
            reached_at=_time(value.get("reached_at")),
            error=value.get("error", ""),
            failing_since=_time(value.get("failing_since")),
        )

    def reached(self, revision: str, *, now: datetime) -> None:
        """The repository was read, and `revision` is what it says."""
        self._keep_source(Source(revision, now))

    def not_reached(self, error: str, *, now: datetime) -> None:
        """The repository could not be read, or not be trusted; the revision before stays."""
        known = self.source()
        self._keep_source(replace(known, error=error, failing_since=known.failing_since or now))

    def problems(self) -> list[str]:
        """What the last reconcile had to say that somebody must know, or what it failed of as a whole."""
        return list(self._value("problems") or [])

    def keep_problems(self, problems: list[str]) -> None:
        if self.problems() != problems:
            self._keep("problems", problems)

    def lock(self, key: str) -> str | None:
        """A kept lock's text."""
        with self._database.reading() as connection:
            text: str | None = connection.execute(sa.select(locks.c.text).where(locks.c.key == key)).scalar()
            return text

    def keep_lock(self, key: str, text: str, *, now: datetime) -> None:
        with self._database.transaction() as connection:
            upsert(connection, locks, {"key": key}, {"text": text, "locked_at": now})

    def seals(self) -> dict[BuildDigest, Seal]:
        """What every build looked like when it was made."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(builds.c.digest, builds.c.seal))
            return {BuildDigest(digest): Seal(seal) for digest, seal in rows}

    def keep_seal(self, digest: BuildDigest, seal: Seal, *, now: datetime) -> None:
        with self._database.transaction() as connection:
            upsert(connection, builds, {"digest": digest}, {"seal": seal, "built_at": now})

    def drop_seals(self, digests: Collection[BuildDigest]) -> None:
        if digests:
            with self._database.transaction() as connection:
                connection.execute(builds.delete().where(builds.c.digest.in_(digests)))

    def machine(self) -> dict[str, str]:
        """How this home was last run: the flags that every command on it needs, without any secret."""
        return dict(self._value("machine") or {})

    def keep_machine(self, flags: Mapping[str, str]) -> None:
        if self.machine() != dict(flags):
            self._keep("machine", dict(flags))

    def address(self) -> str:
        """Where the detections that are live are from, without any secret; empty before the first."""
        return str(self._value("address") or "")

    def keep_address(self, address: str) -> None:
        if self.address() != address:
            self._keep("address", address)

    def backend(self) -> str:
        """The name of the backend that this home's detections run in; empty before the first."""
        return str(self._value("backend") or "")

    def keep_backend(self, name: str) -> None:
        if self.backend() != name:
            self._keep("backend", name)

    def scope(self) -> str:
        """What this home's things on an engine bear, which others may use too: the same as long as the home lives."""
        with self._database.transaction() as connection:
            known = connection.execute(sa.select(meta.c.value).where(meta.c.key == "scope")).scalar()
            scope = str(known or uuid.uuid4().hex[:12])
            if not known:
                connection.execute(meta.insert().values(key="scope", value=scope))
        return scope

    def hints(self) -> int:
        """How often somebody has asked whoever leads to look at the repository now."""
        return int(self._value("hints") or 0)

    def leave_hint(self) -> None:
        self._keep("hints", self.hints() + 1)

    def _keep_source(self, source: Source) -> None:
        times = {
            name: at.isoformat() if (at := getattr(source, name)) else None for name in ("reached_at", "failing_since")
        }
        self._keep("source", {"revision": source.revision, "error": source.error, **times})

    def _value(self, key: str) -> Any:
        with self._database.reading() as connection:
            return connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar()

    def _keep(self, key: str, value: Any) -> None:
        with self._database.transaction() as connection:
            upsert(connection, meta, {"key": key}, {"value": value})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
