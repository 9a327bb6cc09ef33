from lib.cloudtrail import account, at, by_service_itself, origin, parameters, principal, response, who
from lib.iam import other_user

MADE = {
    "CreateAccessKey": "an access key",
    "CreateLoginProfile": "a console password",
    "CreateServiceSpecificCredential": "a credential of one service",
    "ResetServiceSpecificCredential": "a new password for one service",
}


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in MADE
        and record.deepget("event.outcome") == "success"
        and other_user(record) is not None
        and not by_service_itself(record)
    )


def title(record):
    return f"{who(record)} made {MADE[record.deepget('event.action')]} for {other_user(record)}"


def dedupe(record):
    return f"{principal(record)} for {other_user(record)} in {account(record)}"


def severity(record):
    if "ServiceSpecific" in record.deepget("event.action"):
        return "medium"
    return "critical" if "admin" in other_user(record).lower() else "high"


def alert_context(record):
    key = at(response(record), "accessKey", "accessKeyId")
    return {
        "user": other_user(record),
        "new_access_key": key,
        "service": parameters(record).get("serviceName"),
        **origin(record),
    }
