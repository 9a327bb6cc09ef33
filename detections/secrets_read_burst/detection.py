import json
from collections import defaultdict
from datetime import timedelta

SECRETS = 10
WITHIN = timedelta(minutes=5)


def detect(records):
    """Yields a match for each principal that read many different secrets in a short time."""
    reads = defaultdict(dict)
    reported = set()
    for record in sorted(filter(is_read, records), key=lambda record: record["ts"]):
        principal = record.deepget("aws.cloudtrail.user_identity.arn") or record.deepget("user.id")
        if principal is None or principal in reported:
            continue
        now = record["ts"]
        reads[principal][secret(record)] = now
        recent = sorted(name for name, at in reads[principal].items() if now - at <= WITHIN)
        if len(recent) >= SECRETS:
            reported.add(principal)
            name = record.deepget("user.name") or principal
            yield {
                "record": record,
                "title": f"{name} reads secrets in a burst",
                "dedupe": principal,
                "principal": principal,
                "source": record.deepget("source.address"),
                "secrets": recent,
            }


def is_read(record):
    return (
        record.deepget("event.provider") == "secretsmanager.amazonaws.com"
        and record.deepget("event.action") == "GetSecretValue"
        and record.deepget("event.outcome") == "success"
    )


def secret(record):
    parameters = json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}")
    return str(parameters.get("secretId"))
