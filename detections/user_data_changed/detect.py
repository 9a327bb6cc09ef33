from lib.cloudtrail import account, by_aws, origin, parameters, principal, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "ModifyInstanceAttribute"
        and not by_aws(record)
        and ("userData" in parameters(record) or parameters(record).get("attribute") == "userData")
    )


def title(record):
    tried = "changed" if succeeded(record) else "tried to change"
    return f"{who(record)} {tried} the user data of {instance(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    return {"instance": instance(record), **origin(record)}


def instance(record):
    return parameters(record).get("instanceId") or "an unknown instance"
