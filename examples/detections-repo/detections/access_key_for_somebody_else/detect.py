import json

from lib.aws import actor, succeeded


def detect(record):
    return succeeded(record, "CreateAccessKey") and owner(record) not in (None, record.deepget("user.name"))


def title(record):
    return f"{actor(record)} made an access key for {owner(record)}"


def dedupe(record):
    return owner(record)


def alert_context(record):
    return {"source": record.deepget("source.address"), "for": owner(record)}


def owner(record):
    """Whose key it is; None where it is the caller's own."""
    parameters = json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}")
    return parameters.get("userName")
