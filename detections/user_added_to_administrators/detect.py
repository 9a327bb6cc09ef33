from lib.cloudtrail import account, origin, parameters, principal, succeeded, who
from lib.iam import is_own


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") == "AddUserToGroup"
        and (is_own(record) or "admin" in group(record).lower())
    )


def title(record):
    added = "added" if succeeded(record) else "tried to add"
    whom = "themselves" if is_own(record) else parameters(record).get("userName") or "an unknown user"
    return f"{who(record)} {added} {whom} to the group {group(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} to {group(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "medium" if is_own(record) else "low"
    return "high" if is_own(record) else "medium"


def alert_context(record):
    return {
        "user": parameters(record).get("userName"),
        "group": group(record),
        "oneself": is_own(record),
        **origin(record),
    }


def group(record):
    return str(parameters(record).get("groupName") or "of an unknown name")
