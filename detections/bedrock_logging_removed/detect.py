from lib.cloudtrail import account, by_service_itself, origin, parameters, region, succeeded, who

ACTIONS = ("DeleteModelInvocationLoggingConfiguration", "PutModelInvocationLoggingConfiguration")


def detect(record):
    return (
        record.deepget("event.provider") == "bedrock.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and not by_service_itself(record)
        and (record.deepget("event.action") == "DeleteModelInvocationLoggingConfiguration" or stops_text(record))
    )


def title(record):
    done = "stopped" if succeeded(record) else "tried to stop"
    return f"{who(record)} {done} the log of what models of Bedrock are asked in {account(record)}, {region(record)}"


def dedupe(record):
    return account(record)


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    return {"configuration": parameters(record).get("loggingConfig"), **origin(record)}


def stops_text(record):
    """Whether a configuration leaves out prompts and answers in text."""
    configuration = parameters(record).get("loggingConfig")
    return isinstance(configuration, dict) and configuration.get("textDataDeliveryEnabled") is False
