from lib.cloudtrail import account, origin, parameters, principal, who
from lib.iam import target


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") == "SetDefaultPolicyVersion"
        and record.deepget("event.outcome") == "success"
    )


def title(record):
    return f"{who(record)} switched {target(record)} in {account(record)} to its version {version(record)}"


def dedupe(record):
    return f"{principal(record)} switched {target(record)} in {account(record)}"


def alert_context(record):
    asked = parameters(record)
    return {"policy_arn": asked.get("policyArn"), "version": asked.get("versionId"), **origin(record)}


def version(record):
    return parameters(record).get("versionId") or "of an unknown number"
