"""Quarantine: a detection above its error budget is set apart, loudly and alone; nothing that it missed is lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from trapline.alerts.failures import Failures
from trapline.alerts.operational import open_alarms, raise_alarm, settle_alarm
from trapline.deploy.digest import DeployDigest
from trapline.deploy.ledger import Deployment, is_running
from trapline.deploy.overrides import Kind, Override, decide
from trapline.detection.model import Severity
from trapline.run.context import Context

ALARM = "quarantined"
BUDGET_TIME = timedelta(hours=1)


def quarantine(context: Context, deployment: Deployment, reason: str) -> bool:
    """Stops running a detection until `trapline resume` or a new version, and raises an alarm.

    False where that was done already, or where another version is live by now: that one has done nothing wrong.
    """
    name, now = deployment.name, context.now()
    with context.database.transaction() as connection:
        if not is_running(connection, deployment):
            return False
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
    return True


def settle_alarms(context: Context) -> None:
    """Resolves the alarms of detections that are no longer quarantined, by whatever way they came out."""
    quarantined = context.overrides.all(Kind.QUARANTINED)
    with context.database.reading() as connection:
        over = [subject for subject in open_alarms(connection, kind=ALARM) if subject not in quarantined]
    for subject in over:
        with context.database.transaction() as connection:
            settle_alarm(connection, kind=ALARM, subject=subject, now=context.now())


def spent_of_budgets(context: Context) -> Counter[DeployDigest]:
    """What every live version has spent of its error budget: within the hour, and since it was last resumed."""
    resumed, hour, running = context.ledger.last("resumed"), context.now() - BUDGET_TIME, context.ledger.running()
    since = {identity: max(hour, one.deployed_at, resumed.get(identity, hour)) for identity, one in running.items()}
    spent = Failures(context.database).spent(since)
    return Counter({one.deploy_digest: spent[identity] for identity, one in running.items()})
