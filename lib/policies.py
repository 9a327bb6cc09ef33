"""Reading IAM policy documents: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html"""

import json
import re

from lib.cloudtrail import items
from lib.organization import is_own_account
from trapline_sandbox.helpers import wildcard_match

ANYBODY = "anybody"
_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:)?(\d{12})(?::|$)")

_EVERY_ACTION = re.compile(r"\*+(:\*+)?")
_EVERYTHING = re.compile(r"\*+|arn(:aws[a-z-]*)?(:\*)+")
"""All resources: `*`, or an ARN that names nothing, such as `arn:aws:*:*:*:*`."""


def statements(document):
    """The statements of a policy: a dictionary, or its text as most APIs are given it. None where it is no policy."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return []
    found = document.get("Statement") if isinstance(document, dict) else None
    return [statement for statement in items(found) if isinstance(statement, dict)]


def allows(statement, *actions):
    """Whether a statement allows one of the actions, such as `"iam:PassRole"`, by name or by wildcard."""
    if statement.get("Effect") != "Allow":
        return False
    if "NotAction" in statement:
        excluded = _texts(statement["NotAction"])
        return any(not _covered(action, excluded) for action in actions)
    granted = _texts(statement.get("Action"))
    return any(_covered(action, granted) for action in actions)


def on_everything(statement):
    """Whether a statement is about all resources."""
    named = _texts(statement.get("Resource"))
    return "NotResource" in statement or any(_EVERYTHING.fullmatch(resource) for resource in named)


def is_administrator(document):
    """Whether a policy allows everything on everything."""
    return any(
        statement.get("Effect") == "Allow"
        and any(_EVERY_ACTION.fullmatch(action) for action in _texts(statement.get("Action")))
        and on_everything(statement)
        and not statement.get("Condition")
        for statement in statements(document)
    )


def principals(statement):
    """Whom a statement of a resource's policy, or of a role's trust policy, allows: ARNs, account ids, or `*`."""
    if statement.get("Effect") != "Allow":
        return []
    if "NotPrincipal" in statement:
        return ["*"]
    named = statement.get("Principal")
    return _texts(named.get("AWS")) if isinstance(named, dict) else _texts(named)


def strangers(document, record):
    """The accounts that a policy lets in and that are not `lib.organization`'s: sorted, `ANYBODY` first.

    A statement with conditions lets in only whom they let in, so `*` in it is not anybody.
    """
    everyone, accounts = False, set()
    for statement in statements(document):
        for name in principals(statement):
            if name == "*":
                everyone = everyone or not statement.get("Condition")
            elif found := _ACCOUNT.match(name):
                accounts.add(found.group(1))
    outside = sorted(account for account in accounts if not is_own_account(account, record))
    return ([ANYBODY] if everyone else []) + outside


def _texts(value):
    return [text for text in items(value) if isinstance(text, str)]


def _covered(action, patterns):
    return wildcard_match(action, *patterns, ignore_case=True) if patterns else False
