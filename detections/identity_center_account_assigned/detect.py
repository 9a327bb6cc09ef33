from lib.cloudtrail import account, by_service_itself, origin, parameters, who


def detect(record):
    return (
        record.deepget("event.provider") == "sso.amazonaws.com"
        and record.deepget("event.action") == "CreateAccountAssignment"
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
        and (to_a_user(record) or in_own_account(record))
    )


def title(record):
    return f"{who(record)} assigned {whom(record)} the permission set {permission_set(record)} in {where(record)}"


def dedupe(record):
    return f"{whom(record)} in {where(record)} by {account(record)}"


def severity(record):
    return "high" if in_own_account(record) else "low"


def alert_context(record):
    asked = parameters(record)
    return {
        "principal_type": asked.get("principalType"),
        "principal_id": asked.get("principalId"),
        "permission_set": asked.get("permissionSetArn"),
        "target_account": asked.get("targetId"),
        **origin(record),
    }


def to_a_user(record):
    return parameters(record).get("principalType") == "USER"


def in_own_account(record):
    """Whether it is in the account that Identity Center is run from: mostly the management account."""
    return parameters(record).get("targetId") == record.deepget("cloud.account.id", "")


def whom(record):
    kind = "the user" if to_a_user(record) else "the group"
    return f"{kind} {parameters(record).get('principalId') or 'of an unknown id'}"


def where(record):
    return parameters(record).get("targetId") or "an unknown account"


def permission_set(record):
    """Its id, the last part of its ARN: the call does not say its name."""
    return str(parameters(record).get("permissionSetArn") or "").rpartition("/")[2] or "of an unknown id"
