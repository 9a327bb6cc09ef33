from lib.cloudtrail import account, origin, parameters, who

LENGTH = 14
DEFAULT_LENGTH = 6


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in ("UpdateAccountPasswordPolicy", "DeleteAccountPasswordPolicy")
        and record.deepget("event.outcome") == "success"
        and (is_deleted(record) or length(record) < LENGTH)
    )


def title(record):
    if is_deleted(record):
        return f"{who(record)} deleted the password policy of {account(record)}"
    return f"{who(record)} set the shortest password of {account(record)} to {length(record)} characters"


def dedupe(record):
    return account(record)


def severity(record):
    return "medium" if is_deleted(record) or length(record) < 8 else "low"


def alert_context(record):
    return {"policy": parameters(record), **origin(record)}


def is_deleted(record):
    return record.deepget("event.action") == "DeleteAccountPasswordPolicy"


def length(record):
    """The shortest password that is allowed. What a request does not name goes back to its default."""
    asked = parameters(record).get("minimumPasswordLength")
    return asked if isinstance(asked, int) else DEFAULT_LENGTH
