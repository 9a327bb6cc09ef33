from lib.cloudtrail import items, listed, origin, parameters, principal, succeeded, who
from lib.organization import outsiders


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "ModifySnapshotAttribute"
        and bool(shared_with(record))
    )


def title(record):
    shared = "shared" if succeeded(record) else "tried to share"
    audience = "everybody" if "all" in shared_with(record) else f"account {listed(shared_with(record))}"
    return f"{who(record)} {shared} EBS snapshot {snapshot(record)} with {audience}"


def dedupe(record):
    return f"{', '.join(shared_with(record))} by {principal(record)}"


def severity(record):
    if not succeeded(record):
        return "medium"
    return "critical" if "all" in shared_with(record) else "high"


def alert_context(record):
    return {"snapshot": snapshot(record), "shared_with": shared_with(record), **origin(record)}


def shared_with(record):
    """The accounts outside of yours that may now make volumes of the snapshot; `all` is everybody."""
    permission = parameters(record).get("createVolumePermission")
    added = items(permission.get("add")) if isinstance(permission, dict) else []
    entries = [entry for entry in added if isinstance(entry, dict)]
    return outsiders([entry.get("userId") or entry.get("group") for entry in entries], record)


def snapshot(record):
    return parameters(record).get("snapshotId") or "of an unknown id"
