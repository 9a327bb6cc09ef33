from collections import defaultdict

from lib.cloudtrail import additional, by_aws, origin, parameters, principal, who
from lib.s3 import bucket

OBJECTS = 500
VERSIONS = 50
BYTES_PER_OBJECT = 150
"""How much of a DeleteObjects request one object takes: its key and the id of its version, in XML."""


def detect(records):
    """Yields a match for each principal that deleted many objects, or versions of objects, of one bucket."""
    bursts = defaultdict(list)
    for record in filter(is_deletion, records):
        bursts[principal(record), bucket(record)].append(record)
    for (name, where), deletions in bursts.items():
        objects = sum(count(record) for record in deletions)
        versions = sum(bool(parameters(record).get("versionId")) for record in deletions)
        if objects >= OBJECTS or versions >= VERSIONS:
            first = min(deletions, key=lambda record: record["ts"])
            what = f"{versions} versions of objects" if versions >= VERSIONS else f"about {objects} objects"
            yield {
                "record": first,
                "title": f"{who(first)} deleted {what} of bucket {where} in a burst",
                "dedupe": f"{name} in {where}",
                "severity": "high" if versions >= VERSIONS else "medium",
                "alert_context": {"bucket": where, "objects": objects, "versions": versions, **origin(first)},
            }


def is_deletion(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") in ("DeleteObject", "DeleteObjects")
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
    )


def count(record):
    """How many objects a call deleted. CloudTrail does not say it of DeleteObjects, but how long the request was."""
    size = additional(record).get("bytesTransferredIn")
    return max(1, round(size / BYTES_PER_OBJECT)) if isinstance(size, int | float) else 1
