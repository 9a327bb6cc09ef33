from lib.cloudtrail import account, by_service_itself, origin, principal, succeeded, who
from lib.iam import is_own, target, written_policy
from lib.policies import is_administrator

WRITES = ("PutUserPolicy", "PutRolePolicy", "PutGroupPolicy", "CreatePolicy", "CreatePolicyVersion")


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in WRITES
        and not by_service_itself(record)
        and is_administrator(written_policy(record))
    )


def title(record):
    done = "wrote" if succeeded(record) else "tried to write"
    where = "for themselves" if is_own(record) else f"into {target(record)}"
    return f"{who(record)} {done} an administrator's rights {where} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} into {target(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "medium"
    return "critical" if is_own(record) else "high"


def alert_context(record):
    return {"target": target(record), "to_oneself": is_own(record), "policy": written_policy(record), **origin(record)}
