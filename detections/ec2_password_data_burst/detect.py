import json


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com" and record.deepget("event.action") == "GetPasswordData"
    )


def title(record):
    return f"{who(record)} asks for the Windows passwords of many EC2 instances"


def dedupe(record):
    return who(record)


def alert_context(record):
    parameters = json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}")
    return {
        "instance": parameters.get("instanceId"),
        "error": record.deepget("error.code"),
        "session": record.deepget("aws.cloudtrail.user_identity.arn"),
        "source": record.deepget("source.address"),
    }


def who(record):
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"
