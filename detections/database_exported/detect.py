from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, succeeded, who
from lib.organization import is_own_account


def detect(record):
    return (
        record.deepget("event.provider") in ("rds.amazonaws.com", "dynamodb.amazonaws.com")
        and record.deepget("event.action") in ("StartExportTask", "ExportTableToPointInTime")
        and not by_service_itself(record)
    )


def title(record):
    exports = "exports" if succeeded(record) else "tried to export"
    owner = f" of account {foreign_owner(record)}" if foreign_owner(record) else ""
    return f"{who(record)} {exports} {database(record)} of {account(record)} to bucket {bucket(record)}{owner}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    if foreign_owner(record):
        return "high" if succeeded(record) else "medium"
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    return {
        "database": database(record),
        "bucket": bucket(record),
        "foreign_account": foreign_owner(record),
        **origin(record),
    }


def database(record):
    asked = parameters(record)
    name = asked.get("sourceArn") or asked.get("tableArn") or "of an unknown name"
    kind = "table" if record.deepget("event.action") == "ExportTableToPointInTime" else "database snapshot"
    return f"{kind} {str(name).rpartition(':')[2].removeprefix('table/')}"


def bucket(record):
    asked = parameters(record)
    return asked.get("s3BucketName") or asked.get("s3Bucket") or "of an unknown name"


def foreign_owner(record):
    """The account outside of yours that owns the bucket or the key of the export; None where there is none."""
    asked = parameters(record)
    key = asked.get("kmsKeyId") or asked.get("s3SseKmsKeyId")
    owners = [asked.get("s3BucketOwner"), *str(key or "").split(":")[4:5]]
    return next((owner for owner in owners if owner and not is_own_account(owner, record)), None)
