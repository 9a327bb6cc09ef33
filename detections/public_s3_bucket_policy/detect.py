from policyuniverse.policy import Policy

from lib.cloudtrail import origin, parameters, who
from lib.policies import statements
from lib.s3 import bucket

READING = ("s3:get", "s3:list")


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") == "PutBucketPolicy"
        and record.deepget("event.outcome") == "success"
        and policy(record).is_internet_accessible()
    )


def title(record):
    return f"Bucket {bucket(record)} was opened to the internet by {who(record)}"


def dedupe(record):
    return bucket(record)


def severity(record):
    """A bucket that the world can write to is worse than one it can read. NotAction gives nearly all and lists none."""
    actions = public_actions(record)
    return "high" if actions and all(action.lower().startswith(READING) for action in actions) else "critical"


def alert_context(record):
    return {"bucket": bucket(record), "public_actions": public_actions(record), **origin(record)}


def policy(record):
    """The new policy. Who it lets in depends on principals, conditions and wildcards: a library's work."""
    return Policy({"Statement": statements(parameters(record).get("bucketPolicy"))})


def public_actions(record):
    return sorted(policy(record).internet_accessible_actions())
