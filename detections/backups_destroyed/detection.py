from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, origin, parameters, principal, who

NAMES = {
    "DeleteSnapshot": "snapshotId",
    "DeleteRecoveryPoint": "recoveryPointArn",
    "DeleteDBSnapshot": "dBSnapshotIdentifier",
    "DeleteDBClusterSnapshot": "dBClusterSnapshotIdentifier",
    "DeleteDBInstanceAutomatedBackup": "dbiResourceId",
    "DeleteDBClusterAutomatedBackup": "dbClusterResourceId",
    "DeleteClusterSnapshot": "snapshotIdentifier",
}
"""The parameter that names the backup, for each call that deletes one but DeleteBackup."""
PROVIDERS = (
    "ec2.amazonaws.com",
    "backup.amazonaws.com",
    "rds.amazonaws.com",
    "redshift.amazonaws.com",
    "dynamodb.amazonaws.com",
    "fsx.amazonaws.com",
)
ENOUGH = 10
WITHIN = timedelta(minutes=15)


def detect(records):
    """Yields a match for each principal that deleted many different backups of an account in a short time."""
    for record, backups in distinct(filter(is_deletion, records), by=doer, what=backup, enough=ENOUGH, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} deletes one backup after another in {account(record)}",
            "dedupe": doer(record),
            "alert_context": {"backups": backups, **origin(record)},
        }


def is_deletion(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in (*NAMES, "DeleteBackup")
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
    )


def doer(record):
    return f"{principal(record)} in {account(record)}"


def backup(record):
    """The backup's name; a call without one is taken for a backup of its own."""
    asked, key = parameters(record), NAMES.get(record.deepget("event.action"))
    named = asked.get(key) if key else asked.get("backupArn") or asked.get("backupId")
    return str(named or record.deepget("event.id"))
