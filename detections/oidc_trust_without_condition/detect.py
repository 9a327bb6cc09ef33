import re

from lib.cloudtrail import account, items, listed, origin, parameters, who
from lib.iam import written_policy
from lib.policies import statements

SHARED = ("token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io")
"""Issuers that give every customer of theirs a token for whatever audience they ask for."""

COGNITO = "cognito-identity.amazonaws.com"
"""An issuer for everybody, too, but its audience is an identity pool."""

NO_OWNER = re.compile(r"[*?]|[^:]*:[^:/]*[*?]")
"""A subject that begins with a wildcard, or has one in the part that names the owner: `repo:octo-*/app:*`."""


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in ("CreateRole", "UpdateAssumeRolePolicy")
        and record.deepget("event.outcome") == "success"
        and bool(open_issuers(record))
    )


def title(record):
    issuers = listed(open_issuers(record))
    return f"{who(record)} lets anybody with a token of {issuers} assume the role {role(record)} of {account(record)}"


def dedupe(record):
    return f"{role(record)} of {account(record)}"


def severity(record):
    return "critical" if any(issuer in (*SHARED, COGNITO) for issuer in open_issuers(record)) else "high"


def alert_context(record):
    return {
        "role": role(record),
        "issuers": open_issuers(record),
        "policy": written_policy(record),
        **origin(record),
    }


def open_issuers(record):
    """The web identity providers whose tokens the trust policy takes without asking whom they were given to."""
    found = [statement for statement in statements(written_policy(record)) if statement.get("Effect") == "Allow"]
    return sorted({name for statement in found for name in issuers(statement) if not is_narrowed(statement, name)})


def issuers(statement):
    named = statement.get("Principal")
    federated = items(named.get("Federated")) if isinstance(named, dict) else []
    trusted = [name for name in federated if isinstance(name, str) and ":saml-provider/" not in name]
    return [name.partition(":oidc-provider/")[2] or name for name in trusted]


def is_narrowed(statement, issuer):
    """Whether a condition asks for some of the issuer's tokens: by subject, or else by an audience of one's own."""
    says_nothing = {"amr", "aud"} if issuer in SHARED else {"amr"}
    asked = [values for claim, values in claims(statement, issuer).items() if claim not in says_nothing]
    return any(values and not any(map(NO_OWNER.match, values)) for values in asked)


def claims(statement, issuer):
    """What the conditions ask of the issuer's tokens: a list of texts for each claim, such as `sub`."""
    asked = {}
    conditions = statement.get("Condition")
    for operator, keys in conditions.items() if isinstance(conditions, dict) else ():
        if not operator.rpartition(":")[2].startswith(("StringEquals", "StringLike")) or not isinstance(keys, dict):
            continue
        for key, values in keys.items():
            if key.lower().startswith(f"{issuer}:".lower()):
                asked.setdefault(key.rpartition(":")[2].lower(), []).extend(str(value) for value in items(values))
    return asked


def role(record):
    return parameters(record).get("roleName") or "of an unknown name"
