from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, succeeded, who
from lib.iam import is_own, target

SEVERITIES = {
    "AdministratorAccess": "high",
    "IAMFullAccess": "high",
    "PowerUserAccess": "medium",
    "AWSOrganizationsFullAccess": "medium",
    "AWSSSOMasterAccountAdministrator": "medium",
}


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in ("AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy")
        and policy(record) in SEVERITIES
        and not by_service_itself(record)
    )


def title(record):
    done = "attached" if succeeded(record) else "tried to attach"
    whom = "themselves" if is_own(record) else target(record)
    return f"{who(record)} {done} {policy(record)} to {whom} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} to {target(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "medium" if is_own(record) else "low"
    return "critical" if is_own(record) else SEVERITIES[policy(record)]


def alert_context(record):
    return {"target": target(record), "policy": policy(record), "to_oneself": is_own(record), **origin(record)}


def policy(record):
    """The name of the policy, where it is one that AWS manages; its ARN names no account."""
    partition, _, name = str(parameters(record).get("policyArn")).partition(":iam::aws:policy/")
    return name if partition.startswith("arn:aws") else None
