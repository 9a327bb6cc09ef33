"""How a detection stands, as conditions: each one thing that holds or does not, since when, and why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from trapline.deploy.ledger import Deployment, Status, Sync
from trapline.deploy.overrides import Kind, Override


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that holds or does not. `reason` is a word for programs, `message` is for people."""

    type: str
    holds: bool
    reason: str
    since: datetime | None
    message: str = ""


def conditions(status: Status, live: Deployment | None, overrides: Collection[Override]) -> list[Condition]:
    """Synced, Live, Healthy, and what was decided against git."""
    return [*_sync(status), *_live(live), *(_override(override) for override in overrides)]


def _sync(status: Status) -> Iterator[Condition]:
    synced = status.sync in (Sync.SYNCED, Sync.DISABLED, Sync.RETIRED)
    yield Condition("Synced", synced, status.sync.value, status.updated_at, status.message)
    if status.retry_at:
        often = "once" if status.attempts == 1 else f"{status.attempts} times"
        message = f"tried {often}; again at {status.retry_at:%Y-%m-%d %H:%M:%S} UTC"
        yield Condition("Retrying", True, "backing-off", status.updated_at, message)


def _live(live: Deployment | None) -> Iterator[Condition]:
    if live is None:
        yield Condition("Live", False, "not-deployed", None)
        return
    message = f"version {live.deploy_digest[:12]} of revision {live.revision[:12]}"
    yield Condition("Live", True, "deployed", live.deployed_at, message)
    failing = bool(live.health_message)
    reason = "failing" if failing else "healthy"
    yield Condition("Healthy", not failing, reason, live.failing_since or live.deployed_at, live.health_message)


def _override(override: Override) -> Condition:
    reason = "over-its-error-budget" if override.kind is Kind.QUARANTINED else "by-hand"
    return Condition(override.kind.value.capitalize(), True, reason, override.at, str(override))
