def detect(record):
    return (
        record.deepget("event.provider") == "organizations.amazonaws.com"
        and record.deepget("event.action") == "LeaveOrganization"
    )


def title(record):
    done = "took" if succeeded(record) else "tried to take"
    return f"{who(record)} {done} account {account(record)} out of its organisation"


def dedupe(record):
    return account(record)


def severity(record):
    return "critical" if succeeded(record) else "high"


def alert_context(record):
    return {
        "error": record.deepget("error.code"),
        "source": record.deepget("source.address"),
        "session": record.deepget("aws.cloudtrail.user_identity.arn"),
    }


def succeeded(record):
    return record.deepget("event.outcome") == "success"


def account(record):
    return record.deepget("cloud.account.id") or "unknown"


def who(record):
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"
