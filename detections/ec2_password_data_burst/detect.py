from lib.cloudtrail import account, by_aws, origin, parameters, principal, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "GetPasswordData"
        and not by_aws(record)
    )


def title(record):
    return f"{who(record)} asked for the Windows passwords of many EC2 instances in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return {"instance": parameters(record).get("instanceId"), **origin(record)}
