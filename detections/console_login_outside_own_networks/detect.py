from lib.cloudtrail import account, additional, origin, session, who
from lib.organization import is_foreign_network


def detect(record):
    return (
        record.deepget("event.provider") == "signin.amazonaws.com"
        and record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("event.outcome") == "success"
        and is_foreign_network(record.deepget("source.ip"))
    )


def title(record):
    source = record.deepget("source.address") or "an unknown address"
    return f"{who(record)} logged in to the console of {account(record)} from {source}"


def dedupe(record):
    return f"{session(record)} from {record.deepget('source.ip')}"


def severity(record):
    return "high" if record.deepget("aws.cloudtrail.user_identity.type") == "Root" else "medium"


def alert_context(record):
    return {"mfa": additional(record).get("MFAUsed"), **origin(record)}
