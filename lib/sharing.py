"""Calls that share a copy of data. `whom` are the accounts that it is shared with, and `all`, which is everybody."""

from lib.cloudtrail import items, listed, parameters, principal, succeeded, who
from lib.organization import outsiders


def permitted(record, permission):
    """Whom a call of EC2 adds to a `permission`, such as `"launchPermission"`, but for accounts that are yours."""
    asked = parameters(record).get(permission)
    added = items(asked.get("add")) if isinstance(asked, dict) else []
    entries = [entry for entry in added if isinstance(entry, dict)]
    return outsiders([entry.get("userId") or entry.get("group") for entry in entries], record)


def sharing_title(record, what, whom):
    shared = "shared" if succeeded(record) else "tried to share"
    audience = "everybody" if "all" in whom else f"account {listed(whom)}"
    return f"{who(record)} {shared} {what} with {audience}"


def sharing_key(record, whom):
    """One alert for what a principal shares with the same accounts."""
    return f"{', '.join(whom)} by {principal(record)}"


def sharing_severity(record, whom):
    if not succeeded(record):
        return "medium"
    return "critical" if "all" in whom else "high"
