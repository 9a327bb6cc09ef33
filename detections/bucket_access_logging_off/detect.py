from lib.cloudtrail import account, by_aws, origin, parameters, succeeded, who
from lib.s3 import bucket


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") == "PutBucketLogging"
        and succeeded(record)
        and not by_aws(record)
        and is_empty(parameters(record).get("BucketLoggingStatus"))
    )


def title(record):
    return f"{who(record)} turned off access logging of the bucket {bucket(record)} in {account(record)}"


def dedupe(record):
    return f"{bucket(record)} in {account(record)}"


def alert_context(record):
    return {"bucket": bucket(record), **origin(record)}


def is_empty(status):
    """Whether a logging status names no target. Without any status nothing is known: that is no match."""
    return status == "" or (isinstance(status, dict) and not status.get("LoggingEnabled"))
