from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, from_console, origin, parameters, session, who

BUCKETS = 5
WITHIN = timedelta(minutes=10)
REFUSED = ("AccessDenied", "AllAccessDisabled", "NoSuchBucket")


def detect(records):
    """Yields a match for each session that was refused at many different buckets."""
    refused = [record for record in records if is_refused(record)]
    for record, buckets in distinct(refused, by=session, what=bucket, enough=BUCKETS, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} tried {len(buckets)} buckets of {account(record)} and was refused",
            "dedupe": session(record),
            "buckets": buckets,
            **origin(record),
        }


def is_refused(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("error.code") in REFUSED
        and not by_aws(record)
        and record.deepget("aws.cloudtrail.user_identity.account_id") != "anonymous"
        and not from_console(record)
    )


def bucket(record):
    named = parameters(record).get("bucketName")
    return named if isinstance(named, str) else None
