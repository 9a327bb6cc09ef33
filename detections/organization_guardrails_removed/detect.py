from lib.cloudtrail import by_service_itself, origin, parameters, principal, succeeded, who
from lib.policies import statements

REMOVES = {
    "DetachPolicy": "detach",
    "DeletePolicy": "delete",
    "UpdatePolicy": "empty",
    "DisablePolicyType": "turn off",
    "DisableAWSServiceAccess": "end the trust in",
    "DeregisterDelegatedAdministrator": "dismiss the administrator of",
    "RemoveAccountFromOrganization": "remove the account",
    "MoveAccount": "take out of its unit the account",
}
ACTIONS = tuple(REMOVES)
GUARDS = ("cloudtrail", "config", "guardduty", "securityhub", "access-analyzer", "inspector2", "macie", "detective")
ALLOW_ALL = ("p-FullAWSAccess", "p-RCPFullAWSAccess")


def detect(record):
    return (
        record.deepget("event.provider") == "organizations.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and not by_service_itself(record)
        and record.deepget("source.address") != "controltower.amazonaws.com"
        and weakens(record)
    )


def title(record):
    tried = "used" if succeeded(record) else "tried to use"
    return f"{who(record)} {tried} {record.deepget('event.action')}, to {effect(record)}, in the organisation"


def dedupe(record):
    return principal(record)


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    return {"effect": effect(record), "parameters": parameters(record), **origin(record)}


def weakens(record):
    asked, action = parameters(record), record.deepget("event.action")
    if action == "UpdatePolicy":
        return denies_nothing(asked.get("content"))
    if action in ("DisableAWSServiceAccess", "DeregisterDelegatedAdministrator"):
        return str(asked.get("servicePrincipal")).startswith(GUARDS)
    if action == "MoveAccount":
        return is_root(asked.get("destinationParentId")) and not is_root(asked.get("sourceParentId"))
    return asked.get("policyId") not in ALLOW_ALL


def is_root(parent):
    """Whether an account lies right below the organisation's root, where the policies of no unit apply."""
    return str(parent).startswith("r-")


def denies_nothing(content):
    """Whether a policy grants or limits rights, which policies for tags or backups do not, and has no Deny."""
    found = statements(content)
    return bool(found) and not any(statement.get("Effect") == "Deny" for statement in found)


def effect(record):
    asked = parameters(record)
    keys = ("policyId", "policyType", "servicePrincipal", "accountId")
    target = next((str(asked[key]) for key in keys if asked.get(key)), "an unknown target")
    place = f" from {asked['targetId']}" if asked.get("targetId") else ""
    return f"{REMOVES[record.deepget('event.action')]} {target}{place}"
