from lib.cloudtrail import origin, parameters
from lib.sharing import permitted, sharing_key, sharing_severity, sharing_title


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "ModifySnapshotAttribute"
        and bool(shared_with(record))
    )


def title(record):
    return sharing_title(record, f"EBS snapshot {snapshot(record)}", shared_with(record))


def dedupe(record):
    return sharing_key(record, shared_with(record))


def severity(record):
    return sharing_severity(record, shared_with(record))


def alert_context(record):
    return {"snapshot": snapshot(record), "shared_with": shared_with(record), **origin(record)}


def shared_with(record):
    """The accounts outside of yours that may now make volumes of the snapshot; `all` is everybody."""
    return permitted(record, "createVolumePermission")


def snapshot(record):
    return parameters(record).get("snapshotId") or "of an unknown id"
