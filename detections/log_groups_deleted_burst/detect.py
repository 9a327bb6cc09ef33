from lib.cloudtrail import account, by_aws, origin, parameters, principal, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "logs.amazonaws.com"
        and record.deepget("event.action") in ("DeleteLogGroup", "DeleteLogStream")
        and succeeded(record)
        and not by_aws(record)
    )


def title(record):
    return f"{who(record)} deletes log groups or streams in a burst in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    asked = parameters(record)
    return {"log_group": asked.get("logGroupName"), "log_stream": asked.get("logStreamName"), **origin(record)}
