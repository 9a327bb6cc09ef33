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
    "DeleteBackup": "backupArn",
}
"""The parameter that names the backup, for each call that deletes one."""
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
        and record.deepget("event.action") in NAMES
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
    )


def doer(record):
    return f"{principal(record)} in {account(record)}"


def backup(record):
    """The backup's name; a call without one is taken for a backup of its own."""
    named = parameters(record).get(NAMES[record.deepget("event.action")])
    return str(named or record.deepget("event.id"))
