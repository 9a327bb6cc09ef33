from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, origin, parameters, session, who

SECRETS = 10
WITHIN = timedelta(minutes=5)


def detect(records):
    """Yields a match for each principal that read many different secrets in a short time."""
    for record, secrets in distinct(filter(is_read, records), by=session, what=secret, enough=SECRETS, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} read {len(secrets)} different secrets in {account(record)} in a burst",
            "dedupe": session(record),
            "secrets": secrets,
            **origin(record),
        }


def is_read(record):
    return (
        record.deepget("event.provider") == "secretsmanager.amazonaws.com"
        and record.deepget("event.action") == "GetSecretValue"
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
    )


def secret(record):
    return parameters(record).get("secretId")
