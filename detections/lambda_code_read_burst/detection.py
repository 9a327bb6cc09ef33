from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, from_console, origin, parameters, session, who

FUNCTIONS = 20
WITHIN = timedelta(minutes=15)
READS = "GetFunction20150331v2"
READS_OF_TERRAFORM = {"ListVersionsByFunction20150331", "GetFunctionCodeSigningConfig"}


def detect(records):
    """Yields a match for each principal that fetched the code of many functions, not as Terraform does."""
    calls = [record for record in records if is_call(record)]
    refreshed = {(session(record), function(record)) for record in calls if action(record) in READS_OF_TERRAFORM}
    reads = [
        record
        for record in calls
        if action(record) == READS and (session(record), function(record)) not in refreshed and not from_console(record)
    ]
    for record, functions in distinct(reads, by=session, what=function, enough=FUNCTIONS, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} fetched the code of {len(functions)} functions in {account(record)}",
            "dedupe": session(record),
            "functions": functions,
            **origin(record),
        }


def is_call(record):
    return record.deepget("event.provider") == "lambda.amazonaws.com" and not by_aws(record)


def action(record):
    return record.deepget("event.action")


def function(record):
    """The function's name, also where it was given by its ARN."""
    named = parameters(record).get("functionName")
    return str(named).rsplit(":function:", 1)[-1] if named else None
