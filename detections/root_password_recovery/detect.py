from lib.cloudtrail import account, origin

STEPS = {"PasswordRecoveryRequested", "PasswordRecoveryCompleted"}


def detect(record):
    return record.deepget("event.provider") == "signin.amazonaws.com" and record.deepget("event.action") in STEPS


def title(record):
    source = record.deepget("source.address") or "an unknown address"
    if is_completed(record):
        return f"The root password of {account(record)} was reset from {source}"
    return f"A reset of the root password of {account(record)} was asked for from {source}"


def dedupe(record):
    return account(record)


def severity(record):
    return "critical" if is_completed(record) else "high"


def alert_context(record):
    return origin(record)


def is_completed(record):
    return record.deepget("event.action") == "PasswordRecoveryCompleted"
