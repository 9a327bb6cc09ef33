from lib.cloudtrail import account, by_aws, from_console, origin, principal, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") == "GetAccountAuthorizationDetails"
        and not by_aws(record)
        and not from_console(record)
    )


def title(record):
    done = "read" if succeeded(record) else "tried to read"
    return f"{who(record)} {done} all users, roles and policies of {account(record)} in one call"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return origin(record)
