import json

from policyuniverse.policy import Policy

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
    """A bucket that the world can write to is worse than one it can read."""
    return "high" if all(action.lower().startswith(READING) for action in public_actions(record)) else "critical"


def alert_context(record):
    return {
        "bucket": bucket(record),
        "public_actions": public_actions(record),
        "account": record.deepget("cloud.account.id"),
    }


def policy(record):
    """The new policy. Who it lets in depends on principals, conditions and wildcards: a library's work."""
    document = parameters(record).get("bucketPolicy")
    return Policy(document if isinstance(document, dict) else {})


def public_actions(record):
    return sorted(policy(record).internet_accessible_actions())


def bucket(record):
    return parameters(record).get("bucketName") or "of an unknown name"


def parameters(record):
    return json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}")


def who(record):
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"
