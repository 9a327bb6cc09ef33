"""What merging a change would do, told from git alone: for a place that knows nothing of any controller."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from trapline.author.change.sides import Side, Sides
from trapline.deploy.digest import Version as Digests
from trapline.deploy.digest import version
from trapline.deploy.ledger import Deployment, Status, Sync
from trapline.deploy.plan import Actual, Change, plan
from trapline.detection.model import Detection, File


def merged(sides: Sides, *, now: datetime) -> tuple[list[Change], Actual]:
    """What a controller that had deployed all of the base would change, and what it would have had."""
    running = {one.identity: one for one in sides.base.desired.detections if one.config.enabled}
    actual = _actual(sides.base, running, now)

    def before(live: Deployment) -> Mapping[str, File]:
        return running[live.identity].files

    return plan(sides.head.desired, actual, version_of=_version, before=before), actual


def _version(detection: Detection) -> Digests:
    """Its digests without a lock and a platform, which no change of a repository changes."""
    return version(detection, lock="", platform="")


def _actual(side: Side, running: Mapping[str, Detection], now: datetime) -> Actual:
    revision = side.desired.revision
    deployments = {
        identity: Deployment.of(detection, _version(detection), revision=revision, now=now)
        for identity, detection in running.items()
    }
    return Actual(
        deployments=deployments,
        statuses={
            identity: Status(identity, one.name, one.path, Sync.SYNCED, revision, now)
            for identity, one in running.items()
        },
        pins={},
        suspended={},
        whole={one.build_digest for one in deployments.values()},
        touched=(),
    )
