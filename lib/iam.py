"""Reading calls of IAM: whom they are about, and the policies they write."""

from lib.cloudtrail import parameters, principal

ROOT = "AWS ROOT USER"
"""What the console calls the root user in a request that is about it."""

_KINDS = {"userName": "user", "roleName": "role", "groupName": "group"}


def target(record):
    """Whom a call is about, as words: `the user alice`, `the role backup`, `the policy deploy`."""
    asked = parameters(record)
    for key, kind in _KINDS.items():
        if asked.get(key):
            return f"the {kind} {asked[key]}"
    named = asked.get("policyName") or str(asked.get("policyArn") or "").rpartition("/")[2]
    return f"the policy {named}" if named else "an unknown target"


def is_own(record):
    """Whether a call about a user or a role was made by that user, or by a session of that role."""
    caller = principal(record)
    key = "roleName" if ":role/" in caller else "userName"
    return parameters(record).get(key) == caller.rpartition("/")[2]


def other_user(record):
    """The user that a call is about, where that is not the caller. A call without a name is about the caller."""
    name = parameters(record).get("userName")
    return name if isinstance(name, str) and name not in (ROOT, record.deepget("user.name")) else None


def written_policy(record):
    """The policy document that a call writes, or the trust policy of a role: its text, or None."""
    asked = parameters(record)
    return asked.get("policyDocument") or asked.get("assumeRolePolicyDocument")
