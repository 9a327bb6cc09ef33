from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, origin, parameters, session, who

INSTANCES = 5
WITHIN = timedelta(minutes=30)


def detect(records):
    """Yields a match for each principal that opened sessions to many different instances in a short time."""
    for record, targets in distinct(
        filter(is_start, records), by=session, what=target, enough=INSTANCES, within=WITHIN
    ):
        yield {
            "record": record,
            "title": f"{who(record)} started sessions to {len(targets)} different instances in {account(record)}",
            "dedupe": session(record),
            "targets": targets,
            **origin(record),
        }


def is_start(record):
    return (
        record.deepget("event.provider") == "ssm.amazonaws.com"
        and record.deepget("event.action") == "StartSession"
        and not by_aws(record)
    )


def target(record):
    """The instance; the task and container of ECS count as one each."""
    return parameters(record).get("target")
