from lib.cloudtrail import account, at, by_service_itself, ec2_parameters, origin, principal, region, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ("CreateInstanceExportTask", "ExportImage", "CreateStoreImageTask")
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
    )


def title(record):
    place = f"{account(record)}, {region(record)}"
    return f"{who(record)} exports {machine(record)} of {place} to bucket {bucket(record) or 'of an unknown name'}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return {"machine": machine(record), "bucket": bucket(record), **origin(record)}


def machine(record):
    asked = ec2_parameters(record)
    if record.deepget("event.action") == "CreateInstanceExportTask":
        return f"instance {asked.get('instanceId') or 'of an unknown id'}"
    return f"machine image {asked.get('imageId') or 'of an unknown id'}"


def bucket(record):
    asked = ec2_parameters(record)
    target = asked.get("exportToS3") or asked.get("exportToS3Task") or asked.get("s3ExportLocation")
    return at(target, "s3Bucket") or at(target, "S3Bucket") or asked.get("bucket")
