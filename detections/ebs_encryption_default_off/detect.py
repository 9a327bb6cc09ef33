from lib.cloudtrail import account, ec2_parameters, origin, region, succeeded, who
from lib.organization import is_own_account

ACTIONS = ("DisableEbsEncryptionByDefault", "ModifyEbsDefaultKmsKeyId")


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and (record.deepget("event.action") == "DisableEbsEncryptionByDefault" or is_foreign(key(record), record))
    )


def title(record):
    tried = "made" if succeeded(record) else "tried to make"
    new = "unencrypted by default"
    if record.deepget("event.action") == "ModifyEbsDefaultKmsKeyId":
        new = f"encrypted by the foreign key {key(record)}"
    return f"{who(record)} {tried} new volumes {new} in {account(record)}, {region(record)}"


def dedupe(record):
    return account(record)


def severity(record):
    if not succeeded(record):
        return "low"
    return "high" if record.deepget("event.action") == "ModifyEbsDefaultKmsKeyId" else "medium"


def alert_context(record):
    return {"key": key(record), **origin(record)}


def key(record):
    return ec2_parameters(record).get("kmsKeyId")


def is_foreign(arn, record):
    """Whether the ARN of a key names another account; an id or alias alone is always of the own one."""
    parts = arn.split(":") if isinstance(arn, str) else []
    return len(parts) > 4 and not is_own_account(parts[4], record)
