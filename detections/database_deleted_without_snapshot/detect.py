from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, response, who

ACTIONS = {
    "DeleteDBInstance": ("dBInstanceIdentifier", "skipFinalSnapshot"),
    "DeleteDBCluster": ("dBClusterIdentifier", "skipFinalSnapshot"),
    "DeleteCluster": ("clusterIdentifier", "skipFinalClusterSnapshot"),
}
"""The parameters that name the database and that skip its final snapshot."""


def detect(record):
    return (
        record.deepget("event.provider") in ("rds.amazonaws.com", "redshift.amazonaws.com")
        and record.deepget("event.action") in ACTIONS
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
        and skips_snapshot(record)
        and not is_copy(record)
    )


def title(record):
    backups = " and its backups" if backups_go(record) else ""
    return f"{who(record)} deleted database {database(record)}{backups} in {account(record)} without a final snapshot"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "high" if backups_go(record) else "medium"


def alert_context(record):
    return {"database": database(record), "backups_deleted": backups_go(record), **origin(record)}


def skips_snapshot(record):
    _, skip = ACTIONS[record.deepget("event.action")]
    return parameters(record).get(skip) is True


def is_copy(record):
    """Whether the data is elsewhere: the instance is a member of a cluster, or a replica."""
    answered = response(record)
    return bool(answered.get("dBClusterIdentifier") or answered.get("readReplicaSourceDBInstanceIdentifier"))


def backups_go(record):
    """Whether the automated backups were asked to go too. It is also the default of RDS, so only `true` tells."""
    return parameters(record).get("deleteAutomatedBackups") is True


def database(record):
    name, _ = ACTIONS[record.deepget("event.action")]
    return parameters(record).get(name) or "of an unknown name"
