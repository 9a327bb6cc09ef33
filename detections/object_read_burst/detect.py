from lib.cloudtrail import by_aws, origin, parameters, principal, who
from lib.s3 import bucket, header

PERSONAL = ("IAMUser", "Root", "AWSAccount")
"""The kinds of caller that are no role of an application: a long-lived key, another account, nobody at all."""


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") == "GetObject"
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
        and is_personal(record)
        and is_beginning(record)
    )


def title(record):
    return f"{who(record)} reads object after object of bucket {bucket(record)}"


def dedupe(record):
    return f"{principal(record)} in {bucket(record)}"


def alert_context(record):
    return {"bucket": bucket(record), "first_object": parameters(record).get("key"), **origin(record)}


def is_personal(record):
    """Whether the caller is a person or a stranger; the roles of IAM Identity Center are people's."""
    kind = record.deepget("aws.cloudtrail.user_identity.type")
    return kind in PERSONAL or "/AWSReservedSSO_" in principal(record)


def is_beginning(record):
    """Whether the call reads an object from its first byte: a large one is read in many parts, which are one."""
    part = header(record, "Range")
    return part is None or part.startswith("bytes=0-")
