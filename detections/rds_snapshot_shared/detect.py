from lib.cloudtrail import items, origin, parameters
from lib.organization import outsiders
from lib.sharing import sharing_key, sharing_severity, sharing_title

ACTIONS = ("ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute")


def detect(record):
    return (
        record.deepget("event.provider") == "rds.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and bool(shared_with(record))
    )


def title(record):
    return sharing_title(record, f"database snapshot {snapshot(record)}", shared_with(record))


def dedupe(record):
    return sharing_key(record, shared_with(record))


def severity(record):
    return sharing_severity(record, shared_with(record))


def alert_context(record):
    return {"snapshot": snapshot(record), "shared_with": shared_with(record), **origin(record)}


def shared_with(record):
    """The accounts outside of yours that may now restore the snapshot; `all` is everybody."""
    return outsiders(items(parameters(record).get("valuesToAdd")), record)


def snapshot(record):
    asked = parameters(record)
    return asked.get("dBSnapshotIdentifier") or asked.get("dBClusterSnapshotIdentifier") or "of an unknown name"
