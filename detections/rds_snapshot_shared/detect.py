from lib.cloudtrail import items, listed, origin, parameters, principal, succeeded, who
from lib.organization import outsiders

ACTIONS = ("ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute")


def detect(record):
    return (
        record.deepget("event.provider") == "rds.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and bool(shared_with(record))
    )


def title(record):
    shared = "shared" if succeeded(record) else "tried to share"
    audience = "everybody" if "all" in shared_with(record) else f"account {listed(shared_with(record))}"
    return f"{who(record)} {shared} database snapshot {snapshot(record)} with {audience}"


def dedupe(record):
    return f"{', '.join(shared_with(record))} by {principal(record)}"


def severity(record):
    if not succeeded(record):
        return "medium"
    return "critical" if "all" in shared_with(record) else "high"


def alert_context(record):
    return {"snapshot": snapshot(record), "shared_with": shared_with(record), **origin(record)}


def shared_with(record):
    """The accounts outside of yours that may now restore the snapshot; `all` is everybody."""
    return outsiders(items(parameters(record).get("valuesToAdd")), record)


def snapshot(record):
    asked = parameters(record)
    return asked.get("dBSnapshotIdentifier") or asked.get("dBClusterSnapshotIdentifier") or "of an unknown name"
