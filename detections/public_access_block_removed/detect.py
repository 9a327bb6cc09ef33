from lib.cloudtrail import account, origin, parameters, region, succeeded, who

EC2 = {
    "DisableSnapshotBlockPublicAccess": "EBS snapshots",
    "DisableImageBlockPublicAccess": "machine images",
}
ACTIONS = (
    "PutBucketPublicAccessBlock",
    "DeleteBucketPublicAccessBlock",
    "PutAccountPublicAccessBlock",
    "DeleteAccountPublicAccessBlock",
    "DisableSnapshotBlockPublicAccess",
    "DisableImageBlockPublicAccess",
)
SETTINGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def detect(record):
    return (
        record.deepget("event.provider") in ("s3.amazonaws.com", "ec2.amazonaws.com")
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and bool(switched_off(record))
    )


def title(record):
    return f"{who(record)} removed Block Public Access of {target(record)}"


def dedupe(record):
    return target(record)


def severity(record):
    """To delete it is a step of deleting the bucket, too; to weaken it is not, nor is anything on a whole account."""
    if record.deepget("event.action") == "DeleteBucketPublicAccessBlock":
        return "low"
    return "medium" if "Bucket" in record.deepget("event.action") else "high"


def alert_context(record):
    return {"target": target(record), "switched_off": switched_off(record), **origin(record)}


def switched_off(record):
    """The settings that are off now. One that is left out of a request is off; so are all after a deletion."""
    if record.deepget("event.action") in EC2:
        return ["BlockPublicSharing"]
    chosen = parameters(record).get("PublicAccessBlockConfiguration")
    chosen = chosen if isinstance(chosen, dict) else {}
    return [name for name in SETTINGS if str(chosen.get(name)).lower() != "true"]


def target(record):
    action = record.deepget("event.action")
    if action in EC2:
        return f"{EC2[action]} in account {account(record)}, {region(record)}"
    if "Account" in action:
        return f"S3 in account {account(record)}"
    return f"bucket {parameters(record).get('bucketName') or 'of an unknown name'}"
