from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, origin, parameters, session, who

INSTANCES = 10
WITHIN = timedelta(minutes=15)


def detect(records):
    """Yields a match for each principal that asked for the user data, and nothing else, of many instances."""
    reads = [record for record in records if is_attribute_read(record)]
    of_more = {(session(record), instance(record)) for record in reads if attribute(record) != "userData"}
    of_that = [record for record in reads if (session(record), instance(record)) not in of_more]
    for record, instances in distinct(of_that, by=session, what=instance, enough=INSTANCES, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} asked for the user data of {len(instances)} instances in {account(record)}",
            "dedupe": session(record),
            "instances": instances,
            **origin(record),
        }


def is_attribute_read(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "DescribeInstanceAttribute"
        and not by_aws(record)
    )


def instance(record):
    return parameters(record).get("instanceId")


def attribute(record):
    return parameters(record).get("attribute")
