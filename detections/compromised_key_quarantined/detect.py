from lib.cloudtrail import account, origin, parameters, succeeded, who

QUARANTINE = "/AWSCompromisedKeyQuarantine"


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in {"AttachUserPolicy", "DetachUserPolicy"}
        and QUARANTINE in str(parameters(record).get("policyArn"))
    )


def title(record):
    if record.deepget("event.action") == "AttachUserPolicy":
        was = "was put" if succeeded(record) else "should have been put"
        return f"{user(record)} of {account(record)} {was} under quarantine for an access key that leaked"
    tried = "took" if succeeded(record) else "tried to take"
    return f"{who(record)} {tried} {user(record)} of {account(record)} out of quarantine"


def dedupe(record):
    return f"{user(record)} in {account(record)}"


def severity(record):
    return "critical" if record.deepget("event.action") == "AttachUserPolicy" else "high"


def alert_context(record):
    return {"user": user(record), "policy": parameters(record).get("policyArn"), **origin(record)}


def user(record):
    return parameters(record).get("userName") or "an unknown user"
