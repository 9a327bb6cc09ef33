from lib.cloudtrail import account, origin, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "organizations.amazonaws.com"
        and record.deepget("event.action") == "LeaveOrganization"
    )


def title(record):
    done = "took" if succeeded(record) else "tried to take"
    return f"{who(record)} {done} {account_of(record)} out of its organisation"


def dedupe(record):
    return account(record)


def severity(record):
    return "critical" if succeeded(record) else "high"


def alert_context(record):
    return origin(record)


def account_of(record):
    known = record.deepget("cloud.account.id")
    return f"account {known}" if known else "an unknown account"
