from lib.cloudtrail import account, items, listed, origin, parameters, succeeded, who
from lib.organization import outsiders

EVERYBODY = "all"


def detect(record):
    return (
        record.deepget("event.provider") == "ssm.amazonaws.com"
        and record.deepget("event.action") == "ModifyDocumentPermission"
        and bool(strangers(record))
    )


def title(record):
    tried = "shared" if succeeded(record) else "tried to share"
    whom = "everybody" if EVERYBODY in strangers(record) else f"account {listed(strangers(record))}"
    return f"{who(record)} {tried} document {document(record)} of {account(record)} with {whom}"


def dedupe(record):
    return f"{document(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "high" if EVERYBODY in strangers(record) else "medium"


def alert_context(record):
    return {"document": document(record), "shared_with": strangers(record), **origin(record)}


def strangers(record):
    return outsiders(items(parameters(record).get("accountIdsToAdd")), record)


def document(record):
    return parameters(record).get("name") or "of an unknown name"
