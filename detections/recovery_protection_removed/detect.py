from lib.cloudtrail import account, by_service_itself, ec2_parameters, origin, parameters, principal, who

PROVIDERS = (
    "backup.amazonaws.com",
    "dynamodb.amazonaws.com",
    "ec2.amazonaws.com",
    "rbin.amazonaws.com",
    "rds.amazonaws.com",
)
PROTECTIONS = {
    "DeleteBackupVaultLockConfiguration": ("the lock of backup vault", "backupVaultName"),
    "DeleteBackupVault": ("backup vault", "backupVaultName"),
    "DeleteBackupPlan": ("backup plan", "backupPlanId"),
    "DeleteBackupSelection": ("resources from backup plan", "backupPlanId"),
    "ModifyDBInstance": ("the automated backups of database", "dBInstanceIdentifier"),
    "UpdateContinuousBackups": ("the point-in-time recovery of table", "tableName"),
    "UnlockSnapshot": ("the lock of snapshot", "snapshotId"),
    "DeleteRule": ("Recycle Bin rule", "identifier"),
    "UnlockRule": ("the lock of Recycle Bin rule", "identifier"),
}
"""What each call takes away, and the parameter that names it."""
LOCKS = ("DeleteBackupVaultLockConfiguration", "UnlockSnapshot", "UnlockRule")


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in PROTECTIONS
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
        and takes_away(record)
    )


def title(record):
    return f"{who(record)} removed {removed(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    """A lock is there to stop whoever removes it; the others go with what they protect, too."""
    return "high" if record.deepget("event.action") in LOCKS else "medium"


def alert_context(record):
    return {"removed": removed(record), **origin(record)}


def takes_away(record):
    """Whether a call that can change much else takes the protection away; the others do nothing but that."""
    asked = parameters(record)
    if record.deepget("event.action") == "ModifyDBInstance":
        return asked.get("backupRetentionPeriod") == 0
    if record.deepget("event.action") == "UpdateContinuousBackups":
        wanted = asked.get("pointInTimeRecoverySpecification")
        return isinstance(wanted, dict) and wanted.get("pointInTimeRecoveryEnabled") is False
    return True


def removed(record):
    what, name = PROTECTIONS[record.deepget("event.action")]
    return f"{what} {ec2_parameters(record).get(name) or 'of an unknown name'}"
