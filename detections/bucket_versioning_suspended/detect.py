from lib.cloudtrail import origin, parameters, who
from lib.s3 import bucket


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") in ("PutBucketVersioning", "PutBucketObjectLockConfiguration")
        and record.deepget("event.outcome") == "success"
        and lost(record) is not None
    )


def title(record):
    return f"{who(record)} took {lost(record)} from bucket {bucket(record)}"


def dedupe(record):
    return bucket(record)


def severity(record):
    """A lock without default retention may also be one that was only just switched on."""
    return "high" if lost(record) == "MFA delete" else "medium"


def alert_context(record):
    return {"bucket": bucket(record), "lost": lost(record), **origin(record)}


def lost(record):
    """What no longer protects the objects of the bucket; None where nothing is lost."""
    asked = parameters(record)
    if record.deepget("event.action") == "PutBucketObjectLockConfiguration":
        lock = asked.get("ObjectLockConfiguration")
        return "default retention" if isinstance(lock, dict) and not lock.get("Rule") else None
    chosen = asked.get("VersioningConfiguration")
    if not isinstance(chosen, dict):
        return None
    if "Disabled" in (chosen.get("MfaDelete"), chosen.get("MFADelete")):
        return "MFA delete"
    return "versioning" if chosen.get("Status") == "Suspended" else None
