from lib.cloudtrail import account, origin, principal, region, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "EnableSerialConsoleAccess"
    )


def title(record):
    tried = "opened" if succeeded(record) else "tried to open"
    return f"{who(record)} {tried} the serial consoles of {account(record)} in {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    return origin(record)
