from lib.cloudtrail import account, origin, parameters, who
from lib.iam import other_user


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") == "DeactivateMFADevice"
        and record.deepget("event.outcome") == "success"
    )


def title(record):
    whose = "their own" if owner(record) == who(record) else f"{owner(record)}'s"
    return f"{who(record)} removed {whose} MFA device in {account(record)}"


def dedupe(record):
    return f"{owner(record)} in {account(record)}"


def severity(record):
    if is_root(record):
        return "critical"
    return "medium" if other_user(record) is None else "high"


def alert_context(record):
    return {"user": owner(record), "device": parameters(record).get("serialNumber"), **origin(record)}


def is_root(record):
    return record.deepget("aws.cloudtrail.user_identity.type") == "Root" and other_user(record) is None


def owner(record):
    return other_user(record) or record.deepget("user.name") or "an unknown user"
