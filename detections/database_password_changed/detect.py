from lib.cloudtrail import account, by_aws, origin, parameters, succeeded, who

CHANGES = {"ModifyDBInstance", "ModifyDBCluster", "ModifyCluster"}
PROVIDERS = {"rds.amazonaws.com", "redshift.amazonaws.com"}


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in CHANGES
        and not by_aws(record)
        and bool(parameters(record).get("masterUserPassword"))
    )


def title(record):
    tried = "changed" if succeeded(record) else "tried to change"
    public = " and made it public" if is_made_public(record) else ""
    return f"{who(record)} {tried} the master password of database {database(record)} in {account(record)}{public}"


def dedupe(record):
    return f"{database(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "high" if is_made_public(record) else "medium"


def alert_context(record):
    return {"database": database(record), "made_public": is_made_public(record), **origin(record)}


def database(record):
    asked = parameters(record)
    names = ("dBInstanceIdentifier", "dBClusterIdentifier", "clusterIdentifier")
    return next((asked[name] for name in names if asked.get(name)), "of an unknown name")


def is_made_public(record):
    return parameters(record).get("publiclyAccessible") is True
