"""What must end: detections that left the repository, as far as that can be told and is not too many at once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trapline.deploy.desired import Desired
from trapline.deploy.ledger import Status, Sync
from trapline.detection.model import pack_of
from trapline.errors import Problem


def gone(desired: Desired, deployed: Collection[str], statuses: Mapping[str, Status]) -> list[str]:
    """The deployed identities that the commit no longer has; what is merely broken there is not gone.

    Nor is what a pack still has and nobody uses, which was turned off, nor anything of a pack that cannot be read.
    """
    there = _present(desired, statuses) | desired.unused
    return [one for one in deployed if one not in there and pack_of(one) not in desired.unread]


def forgotten(desired: Desired, deployed: Collection[str], statuses: Mapping[str, Status]) -> list[str]:
    """The identities that left the commit and are not live, such as a broken folder that was mended. What was live and
    was retired is remembered."""
    present = _present(desired, statuses)
    return [
        identity
        for identity, status in statuses.items()
        if status.sync is not Sync.RETIRED
        and identity not in present
        and identity not in deployed
        and pack_of(identity) not in desired.unread
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
        "if that is meant, run `trapline sync --confirm-prune` with the same --home",
    )


def elsewhere(desired: Desired, leaving: Collection[str]) -> Problem | None:
    """Why nothing may be retired unasked by a repository, ref or root that the home did not follow before."""
    if not leaving:
        return None
    return Problem(
        "repository",
        0,
        "error",
        "prune-elsewhere",
        f"the home follows another repository, ref or root than before, and {len(leaving)} of its detections are not "
        f"there at {desired.revision[:12]}: they run on",
        "if that is meant, run `trapline sync --confirm-prune` with the same --home; else name the one before",
    )


def _present(desired: Desired, statuses: Mapping[str, Status]) -> frozenset[str]:
    """Everything that is in the commit: by what it says of itself, and where it says nothing, by the path it had."""
    held_paths = {held.path for held in desired.held}
    return desired.identities | {identity for identity, status in statuses.items() if status.path in held_paths}
