from lib.cloudtrail import account, by_aws, origin, parameters
from lib.organization import is_own_account


def detect(record):
    return (
        record.deepget("event.provider") == "sts.amazonaws.com"
        and record.deepget("event.action") == "AssumeRole"
        and record.deepget("event.outcome") == "success"
        and record.deepget("aws.cloudtrail.user_identity.type") == "AWSAccount"
        and caller(record) is not None
        and not by_aws(record)
        and not is_own_account(caller(record), record)
    )


def title(record):
    return f"Account {caller(record)} assumed the role {role(record)} of {account(record)}"


def dedupe(record):
    """One question for each account, whichever of your accounts and roles it uses: is it one of yours?"""
    return caller(record)


def severity(record):
    return "low" if external_id(record) else "medium"


def alert_context(record):
    return {
        "caller": caller(record),
        "role": parameters(record).get("roleArn"),
        "session_name": parameters(record).get("roleSessionName"),
        "external_id": external_id(record),
        **origin(record),
    }


def caller(record):
    return record.deepget("aws.cloudtrail.user_identity.account_id")


def role(record):
    return str(parameters(record).get("roleArn") or "of an unknown name").partition(":role/")[2] or "of an unknown name"


def external_id(record):
    """What products of others are given to tell their customers apart; None where it was not asked for."""
    return parameters(record).get("externalId")
