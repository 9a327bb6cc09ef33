import json
import re

ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:(?:iam|sts)::)?(\d{12})(?::|$)")


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in ("CreateRole", "UpdateAssumeRolePolicy")
        and record.deepget("event.outcome") == "success"
        and bool(strangers(record))
    )


def title(record):
    return f"{who(record)} lets {', '.join(strangers(record))} assume the role {role(record)}"


def dedupe(record):
    return role(record)


def severity(record):
    return "critical" if "anybody" in strangers(record) else "high"


def alert_context(record):
    return {
        "role": role(record),
        "trusts": strangers(record),
        "source": record.deepget("source.address"),
    }


def strangers(record):
    """The accounts outside of the role's own that its trust policy lets in."""
    own = record.deepget("cloud.account.id")
    principals = {name for statement in statements(record) for name in allowed(statement)}
    accounts = {found.group(1) for name in principals if (found := ACCOUNT.match(name))}
    return (["anybody"] if "*" in principals else []) + sorted(accounts - {own})


def allowed(statement):
    if statement.get("Effect") != "Allow":
        return []
    principal = statement.get("Principal") or {}
    named = principal.get("AWS") or [] if isinstance(principal, dict) else principal
    return [named] if isinstance(named, str) else named


def statements(record):
    asked = parameters(record)
    document = json.loads(asked.get("assumeRolePolicyDocument") or asked.get("policyDocument") or "{}")
    found = document.get("Statement") or []
    return found if isinstance(found, list) else [found]


def role(record):
    return parameters(record).get("roleName") or "of an unknown name"


def parameters(record):
    return json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}")


def who(record):
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"
