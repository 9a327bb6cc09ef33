"""Quarantine: a detection above its error budget is set apart, loudly and alone; nothing that it missed is lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from trapline.alerts.operational import open_alarms, raise_alarm, settle_alarm
from trapline.deploy.ledger import Deployment
from trapline.deploy.overrides import Kind, Override, decide
from trapline.detection.model import Severity
from trapline.run.context import Context

ALARM = "quarantined"
BUDGET_TIME = timedelta(hours=1)


def quarantine(context: Context, deployment: Deployment, reason: str) -> None:
    """Stops running a detection until `trapline resume` or a new version, and raises an alarm."""
    name, now = deployment.name, context.now()
    with context.database.transaction() as connection:
        raise_alarm(
            connection,
            kind=ALARM,
            subject=deployment.identity,
            title=f"Detection {name} is quarantined: it finds nothing until it is mended",
            description=reason,
            severity=Severity.HIGH,
            runbook=(
                f"See `trapline status {name}`, `trapline failures list {name}` and `trapline logs {name}`. Merge a "
                f"version that is mended, or run `trapline resume {name}`. It then goes on where it stopped, and what "
                "was set aside is replayed."
            ),
            destinations=context.settings.operations,
            context={"detection": name, "revision": deployment.revision},
            replay=f"trapline status {name}",
            now=now,
            revision=deployment.revision,
            digest=deployment.build_digest,
        )
        version = {"revision": deployment.revision, "deploy_digest": deployment.deploy_digest}
        decide(connection, Override(deployment.identity, Kind.QUARANTINED, now, reason, **version))


def settle_alarms(context: Context) -> None:
    """Resolves the alarms of detections that are no longer quarantined, by whatever way they came out."""
    quarantined = context.overrides.all(Kind.QUARANTINED)
    with context.database.reading() as connection:
        over = [subject for subject in open_alarms(connection, kind=ALARM) if subject not in quarantined]
    for subject in over:
        with context.database.transaction() as connection:
            settle_alarm(connection, kind=ALARM, subject=subject, now=context.now())


def budget_since(context: Context) -> Mapping[str, datetime]:
    """Since when failures count against each detection: within the hour, of this version, and after it was resumed."""
    resumed = context.ledger.last("resumed")
    hour = context.now() - BUDGET_TIME
    running = context.ledger.running()
    return {identity: max(hour, one.deployed_at, resumed.get(identity, hour)) for identity, one in running.items()}
