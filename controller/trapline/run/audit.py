"""The audit of the inference: a rule that has something to say of a record it was taken for having nothing to say of.

That is an error of Trapline's, never of the rule: it is told loudly, what was found is kept, and the build is shown all
records from then on, until another takes its place or somebody resolves the alarm.
"""

from __future__ import annotations

from trapline.alerts.operational import open_alarms, raise_alarm, settle_alarm
from trapline.deploy.ledger import Deployment
from trapline.detection.model import Severity
from trapline.query.engine import ScanRequest
from trapline.run.context import Context
from trapline.workers.interface import BuildDigest

ALARM = "inference"


def breached(context: Context, deployment: Deployment, request: ScanRequest, *, records: int) -> None:
    """Raises the alarm: the rule said something of so many `records` that its predicate leaves out."""
    name, now = deployment.name, context.now()
    with context.database.transaction() as connection:
        raise_alarm(
            connection,
            kind=ALARM,
            subject=deployment.build_digest,
            title=f"Detection {name} had something to say of records that Trapline kept from it",
            description=(
                f"In {request.table} {request.window} the audit found {records} records for which the predicate "
                f"inferred from {deployment.mode.script} does not hold, and on which the rule matched or failed all "
                "the same. The window is read again without the predicate, and from now on this build is shown every "
                f"record. Windows before it, since {deployment.deployed_at:%Y-%m-%d %H:%M} UTC, were read with the "
                "predicate: records like these may be missing from what was found."
            ),
            severity=Severity.CRITICAL,
            runbook=(
                f"`trapline explain {name}` shows the predicate. Please report it: it is an error of Trapline's, not "
                "of the rule's. Look in the earlier windows for records like those that were found. A new version of "
                "the rule is trusted again; so is this one once the alarm is resolved."
            ),
            destinations=context.settings.operations,
            context={"detection": name, "table": request.table, "window": str(request.window), "records": records},
            replay=f"trapline explain {name}",
            now=now,
            revision=deployment.revision,
            digest=deployment.build_digest,
        )


def distrusted(context: Context) -> frozenset[BuildDigest]:
    """The live builds whose predicate was found to be wrong; the alarms of those that are gone are resolved."""
    live = context.ledger.live_builds()
    with context.database.reading() as connection:
        subjects = {BuildDigest(subject) for subject in open_alarms(connection, kind=ALARM)}
    for subject in sorted(subjects - live):
        with context.database.transaction() as connection:
            settle_alarm(connection, kind=ALARM, subject=subject, now=context.now())
    return frozenset(subjects & live)
