from lib.cloudtrail import account, at, by_aws, origin, parameters, principal, response, succeeded, who
from lib.ssm import RUNS_ANYTHING, chosen, document_name, instances, is_on_everything, targets

ASSOCIATES = {"CreateAssociation", "UpdateAssociation"}


def detect(record):
    return (
        record.deepget("event.provider") == "ssm.amazonaws.com"
        and record.deepget("event.action") in ASSOCIATES
        and not by_aws(record)
        and document(record) in RUNS_ANYTHING
    )


def title(record):
    tried = "associated" if succeeded(record) else "tried to associate"
    return f"{who(record)} {tried} {document(record)} with {chosen(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "high" if is_on_everything(record) else "medium"


def alert_context(record):
    asked = parameters(record)
    return {
        "document": document(record),
        "schedule": asked.get("scheduleExpression"),
        "association": asked.get("associationName") or asked.get("associationId"),
        "instances": instances(record),
        "targets": targets(record),
        **origin(record),
    }


def document(record):
    """The document's name. A change of an association need not name it again; the answer does."""
    named = parameters(record).get("name") or at(response(record), "associationDescription", "name")
    return document_name(named)
