from lib.cloudtrail import account, by_service_itself, origin, parameters, region, who

PROVIDERS = ("rds.amazonaws.com", "redshift.amazonaws.com", "redshift-serverless.amazonaws.com")


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action")
        in (
            "CreateDBInstance",
            "CreateDBInstanceReadReplica",
            "CreateDBCluster",
            "ModifyDBInstance",
            "RestoreDBInstanceFromDBSnapshot",
            "RestoreDBInstanceToPointInTime",
            "RestoreDBClusterFromSnapshot",
            "RestoreDBClusterToPointInTime",
            "CreateCluster",
            "ModifyCluster",
            "RestoreFromClusterSnapshot",
            "CreateWorkgroup",
            "UpdateWorkgroup",
        )
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
        and parameters(record).get("publiclyAccessible") is True
    )


def title(record):
    return f"{who(record)} {done(record)} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{database(record)} in {account(record)}, {region(record)}"


def severity(record):
    """A new database is empty; one that is changed or restored has the data in it."""
    return "medium" if record.deepget("event.action").startswith("Create") else "high"


def alert_context(record):
    asked = parameters(record)
    source = asked.get("dBSnapshotIdentifier") or asked.get("snapshotIdentifier")
    return {"database": database(record), "restored_from": source, **origin(record)}


def done(record):
    action = record.deepget("event.action")
    if action.startswith(("Modify", "Update")):
        return f"made database {database(record)} public"
    return f"{'restored' if action.startswith('Restore') else 'created'} database {database(record)} as a public one"


def database(record):
    asked = parameters(record)
    named = (
        asked.get("dBInstanceIdentifier")
        or asked.get("targetDBInstanceIdentifier")
        or asked.get("dBClusterIdentifier")
        or asked.get("clusterIdentifier")
        or asked.get("workgroupName")
    )
    return named or "of an unknown name"
