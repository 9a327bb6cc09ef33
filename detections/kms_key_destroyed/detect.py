from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, region, response, succeeded, who

VERBS = {
    "ScheduleKeyDeletion": ("scheduled the deletion", "schedule the deletion"),
    "DisableKey": ("disabled the use", "disable the use"),
    "DeleteImportedKeyMaterial": ("deleted the key material", "delete the key material"),
}
LONGEST_WAIT_DAYS = 30


def detect(record):
    return (
        record.deepget("event.provider") == "kms.amazonaws.com"
        and record.deepget("event.action") in ("ScheduleKeyDeletion", "DisableKey", "DeleteImportedKeyMaterial")
        and not by_service_itself(record)
    )


def title(record):
    done, tried = VERBS[record.deepget("event.action")]
    what = done if succeeded(record) else f"tried to {tried}"
    return f"{who(record)} {what} of KMS key {key(record)} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    """Who means to destroy waits no longer than he must; key material that was imported is gone at once."""
    if not succeeded(record):
        return "low"
    if record.deepget("event.action") == "DeleteImportedKeyMaterial":
        return "critical"
    return "high" if wait(record) < LONGEST_WAIT_DAYS else "medium"


def alert_context(record):
    return {"key": key(record), "deleted_on": response(record).get("deletionDate"), **origin(record)}


def wait(record):
    """Days until the key is deleted, of 7 to 30; 30 where none were asked for, and for what is no deletion."""
    days = parameters(record).get("pendingWindowInDays")
    return days if isinstance(days, int) else LONGEST_WAIT_DAYS


def key(record):
    return response(record).get("keyId") or parameters(record).get("keyId") or "of an unknown id"
