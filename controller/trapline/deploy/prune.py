"""What must end: detections that left the repository, as far as that can be told and is not too many at once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trapline.deploy.desired import Desired
from trapline.deploy.ledger import Status, Sync
from trapline.errors import Problem


def gone(desired: Desired, deployed: Collection[str], statuses: Mapping[str, Status]) -> list[str]:
    """The deployed identities that the commit no longer has; what is merely broken there is not gone."""
    return [identity for identity in deployed if not _present(identity, desired, statuses.get(identity))]


def forgotten(desired: Desired, deployed: Collection[str], statuses: Mapping[str, Status]) -> list[str]:
    """The identities that never were live and left the commit, such as a broken folder that was mended."""
    return [
        identity
        for identity, status in statuses.items()
        if status.sync in (Sync.STALLED, Sync.WAITING)
        and identity not in deployed
        and not _present(identity, desired, status)
    ]


def over_the_cap(desired: Desired, leaving: Collection[str], deployed: Collection[str]) -> Problem | None:
    """Why so many may not be retired unasked; None where they may. One alone is always a person's deliberate act."""
    caps, count = desired.settings.prune, len(leaving)
    if count <= caps.max_count and (count <= 1 or count <= caps.max_share * len(deployed)):
        return None
    return Problem(
        "trapline.yml",
        0,
        "error",
        "prune-cap",
        f"{count} of {len(deployed)} detections are gone at {desired.revision[:12]}: "
        "more than may be retired unasked, so all of them run on",
        "if that is meant, run `trapline controller --once --confirm-prune`",
    )


def _present(identity: str, desired: Desired, status: Status | None) -> bool:
    if identity in desired.identities:
        return True
    return status is not None and any(held.path == status.path for held in desired.held)
