import json
from collections import defaultdict

from lib.aws import actor, succeeded

SECRETS = 3


def detect(records):
    """Yields a match for whoever read many different secrets in one run."""
    read = defaultdict(dict)
    for record in records:
        if succeeded(record, "GetSecretValue"):
            read[actor(record)][secret(record)] = record
    for who, secrets in read.items():
        if len(secrets) >= SECRETS:
            yield {
                "record": next(iter(secrets.values())),
                "title": f"{who} read {len(secrets)} secrets",
                "dedupe": who,
                "secrets": sorted(secrets),
            }


def secret(record):
    parameters = json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}")
    return str(parameters.get("secretId"))
