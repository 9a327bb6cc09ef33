from lib.cloudtrail import account, by_aws, origin, parameters, principal, succeeded, who
from lib.ssm import RUNS_ANYTHING, chosen, document_name, instances, is_on_everything, targets

MANY = 10


def detect(record):
    return (
        record.deepget("event.provider") == "ssm.amazonaws.com"
        and record.deepget("event.action") == "SendCommand"
        and not by_aws(record)
        and document(record) in RUNS_ANYTHING
    )


def title(record):
    tried = "ran" if succeeded(record) else "tried to run"
    return f"{who(record)} {tried} {document(record)} on {chosen(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "high" if is_on_everything(record) or len(instances(record)) >= MANY else "medium"


def alert_context(record):
    return {
        "document": document(record),
        "instances": instances(record),
        "targets": targets(record),
        **origin(record),
    }


def document(record):
    return document_name(parameters(record).get("documentName"))
