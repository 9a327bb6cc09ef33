from lib.networks import is_office


def detect(record):
    return (
        record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("event.outcome") == "failure"
        and record.deepget("source.ip") is not None
    )


def title(record):
    return f"Failed console logins from {record.deepget('source.ip')}"


def dedupe(record):
    return record.deepget("source.ip")


def severity(record):
    return "low" if is_office(record.deepget("source.ip")) else "high"


def alert_context(record):
    return {"user": record.deepget("user.name"), "user_agent": record.deepget("user_agent.original")}
