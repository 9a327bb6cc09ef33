from lib.cloudtrail import items, listed, origin, parameters, who
from lib.organization import outsiders
from lib.s3 import bucket


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") == "PutBucketReplication"
        and record.deepget("event.outcome") == "success"
        and (bool(accounts(record)) or any(not target.get("Account") for target in targets(record)))
    )


def title(record):
    buckets = listed(sorted({str(target.get("Bucket")).rpartition(":")[2] for target in targets(record)}))
    owner = f"account {listed(accounts(record))}" if accounts(record) else "an account that it does not name"
    return f"{who(record)} replicates bucket {bucket(record)} to bucket {buckets} of {owner}"


def dedupe(record):
    return bucket(record)


def severity(record):
    return "high" if accounts(record) else "low"


def alert_context(record):
    return {
        "bucket": bucket(record),
        "targets": [target.get("Bucket") for target in targets(record)],
        "accounts": accounts(record),
        **origin(record),
    }


def targets(record):
    """The destinations of the rules that are switched on and name a bucket."""
    configuration = parameters(record).get("ReplicationConfiguration")
    rules = items(configuration.get("Rule")) if isinstance(configuration, dict) else []
    active = [rule for rule in rules if isinstance(rule, dict) and rule.get("Status") != "Disabled"]
    found = [rule.get("Destination") for rule in active]
    return [target for target in found if isinstance(target, dict) and target.get("Bucket")]


def accounts(record):
    """The accounts outside of yours that own what is copied from now on."""
    return outsiders([str(target.get("Account") or "") for target in targets(record)], record)
