def detect(record):
    return (
        record.deepget("event.action") == "CreateInstanceExportTask"
        and record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.outcome") == "failure"
    )


def title(record):
    return f"{who(record)} failed to export an EC2 instance from {record.deepget('cloud.region', 'an unknown region')}"


def dedupe(record):
    return who(record)


def alert_context(record):
    return {
        "error": record.deepget("error.code"),
        "source": record.deepget("source.address"),
        "request": record.deepget("aws.cloudtrail.request_parameters"),
    }


def who(record):
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"
