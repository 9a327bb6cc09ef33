from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, items, origin, parameters, session, who

PARAMETERS = 25
WITHIN = timedelta(minutes=5)
READS = {"GetParameter", "GetParameters", "GetParametersByPath", "GetParameterHistory"}


def detect(records):
    """Yields a match for each principal that had many different parameters decrypted, or asked for all there are."""
    reads = [record for record in records if is_decrypting_read(record)]
    for record, found in distinct(reads, by=session, what=names, enough=PARAMETERS, within=WITHIN):
        yield match(record, f"{len(found)} different parameters", found)
    for record in reads:
        if parameters(record).get("path") == "/" and parameters(record).get("recursive"):
            yield match(record, "all parameters", ["/"])


def match(record, what, found):
    return {
        "record": record,
        "title": f"{who(record)} read and decrypted {what} in {account(record)}",
        "dedupe": session(record),
        "parameters": found,
        **origin(record),
    }


def is_decrypting_read(record):
    return (
        record.deepget("event.provider") == "ssm.amazonaws.com"
        and record.deepget("event.action") in READS
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
        and parameters(record).get("withDecryption") is True
    )


def names(record):
    """The parameters that were asked for by name; a path counts as one, as what lies below it is not in the log."""
    asked = parameters(record)
    return [str(name) for key in ("name", "names", "path") for name in items(asked.get(key))]
