from lib.cloudtrail import account, at, by_aws, items, origin, parameters, principal, response, succeeded, who
from lib.policies import is_administrator


def detect(record):
    return (
        record.deepget("event.provider") == "sts.amazonaws.com"
        and record.deepget("event.action") == "GetFederationToken"
        and not by_aws(record)
    )


def title(record):
    got = "got" if succeeded(record) else "tried to get"
    return f"{who(record)} {got} a federation token {session(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    """A token that narrows nothing is for going on as the user, not for handing out a part of its rights."""
    if not succeeded(record):
        return "low"
    return "high" if narrows_nothing(record) else "medium"


def alert_context(record):
    return {
        "session_name": parameters(record).get("name"),
        "session_key": at(response(record), "credentials", "accessKeyId"),
        "policy": parameters(record).get("policy"),
        "policy_arns": policy_arns(record),
        **origin(record),
    }


def narrows_nothing(record):
    named = any(arn.endswith(":policy/AdministratorAccess") for arn in policy_arns(record))
    return named or is_administrator(parameters(record).get("policy"))


def policy_arns(record):
    found = items(parameters(record).get("policyArns"))
    return [str(item.get("arn")) if isinstance(item, dict) else str(item) for item in found]


def session(record):
    name = parameters(record).get("name")
    return f"named {name}" if name else "of an unknown name"
