from lib.cloudtrail import origin


def detect(record):
    return (
        record.deepget("event.provider") == "signin.amazonaws.com"
        and record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("event.outcome") == "failure"
        and record.deepget("source.ip") is not None
    )


def title(record):
    return f"{record.deepget('source.ip')} - Elevated login failures"


def dedupe(record):
    return record.deepget("source.ip")


def alert_context(record):
    return {"user": record.deepget("user.name"), **origin(record)}
