from lib.cloudtrail import account, origin, parameters, principal, region, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "CreateInstanceExportTask"
        and record.deepget("event.outcome") == "failure"
    )


def title(record):
    return f"{who(record)} failed to export an EC2 instance from {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    asked = parameters(record)
    target = asked.get("exportToS3")
    bucket = target.get("s3Bucket") if isinstance(target, dict) else None
    return {"instance": asked.get("instanceId"), "bucket": bucket, **origin(record)}
