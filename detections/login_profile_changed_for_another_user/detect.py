from lib.cloudtrail import account, origin, parameters, principal, who
from lib.iam import other_user


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") == "UpdateLoginProfile"
        and record.deepget("event.outcome") == "success"
        and other_user(record) is not None
    )


def title(record):
    return f"{who(record)} set the console password of {other_user(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} for {other_user(record)} in {account(record)}"


def severity(record):
    """A password that its user must change at the next login is what a help desk hands out."""
    return "medium" if must_be_changed(record) else "high"


def alert_context(record):
    return {"user": other_user(record), "must_be_changed": must_be_changed(record), **origin(record)}


def must_be_changed(record):
    return parameters(record).get("passwordResetRequired") is True
