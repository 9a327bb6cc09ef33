from lib.cloudtrail import account, origin, parameters, succeeded, who
from lib.iam import is_own, target

CHANGES = (
    "DeleteUserPermissionsBoundary",
    "DeleteRolePermissionsBoundary",
    "PutUserPermissionsBoundary",
    "PutRolePermissionsBoundary",
)


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in CHANGES
        and (record.deepget("event.action").startswith("Delete") or bounds_nothing(record))
    )


def title(record):
    done = "removed" if succeeded(record) else "tried to remove"
    whose = "their own" if is_own(record) else f"{target(record)}'s"
    return f"{who(record)} {done} {whose} permissions boundary in {account(record)}"


def dedupe(record):
    return f"{target(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "medium" if is_own(record) else "low"
    return "critical" if is_own(record) else "medium"


def alert_context(record):
    return {
        "target": target(record),
        "to_oneself": is_own(record),
        "new_boundary": parameters(record).get("permissionsBoundary"),
        **origin(record),
    }


def bounds_nothing(record):
    return str(parameters(record).get("permissionsBoundary")).endswith(":iam::aws:policy/AdministratorAccess")
