from lib.cloudtrail import account, by_service_itself, listed, origin, parameters, who
from lib.iam import written_policy
from lib.policies import ANYBODY, strangers


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in ("CreateRole", "UpdateAssumeRolePolicy")
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
        and bool(trusted(record))
    )


def title(record):
    return f"{who(record)} lets {listed(trusted(record))} assume the role {role(record)} of {account(record)}"


def dedupe(record):
    return f"{role(record)} of {account(record)}"


def severity(record):
    return "critical" if ANYBODY in trusted(record) else "high"


def alert_context(record):
    return {"role": role(record), "trusts": trusted(record), **origin(record)}


def trusted(record):
    """The accounts outside of your own that the role's trust policy lets in."""
    return strangers(written_policy(record), record)


def role(record):
    return parameters(record).get("roleName") or "of an unknown name"
