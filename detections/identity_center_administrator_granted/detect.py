from lib.cloudtrail import account, origin, parameters, succeeded, who
from lib.policies import is_administrator

POLICIES = (":iam::aws:policy/AdministratorAccess", ":iam::aws:policy/IAMFullAccess")


def detect(record):
    return (
        record.deepget("event.provider") == "sso.amazonaws.com"
        and record.deepget("event.action") in ("AttachManagedPolicyToPermissionSet", "PutInlinePolicyToPermissionSet")
        and makes_administrator(record)
    )


def title(record):
    made = "made" if succeeded(record) else "tried to make"
    return f"{who(record)} {made} the permission set {permission_set(record)} of {account(record)} an administrator's"


def dedupe(record):
    return f"{permission_set(record)} of {account(record)}"


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    asked = parameters(record)
    return {
        "permission_set": asked.get("permissionSetArn"),
        "policy": asked.get("managedPolicyArn") or asked.get("inlinePolicy"),
        **origin(record),
    }


def makes_administrator(record):
    asked = parameters(record)
    return str(asked.get("managedPolicyArn")).endswith(POLICIES) or is_administrator(asked.get("inlinePolicy"))


def permission_set(record):
    """Its id, the last part of its ARN: the call does not say its name."""
    return str(parameters(record).get("permissionSetArn") or "").rpartition("/")[2] or "of an unknown id"
