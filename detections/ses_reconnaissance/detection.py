from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, from_console, origin, session, who

KINDS = 3
WITHIN = timedelta(minutes=10)
CALLS = {
    "GetAccount",
    "GetAccountSendingEnabled",
    "GetIdentityVerificationAttributes",
    "GetSendQuota",
    "GetSendStatistics",
    "ListEmailIdentities",
    "ListIdentities",
    "ListVerifiedEmailAddresses",
}


def detect(records):
    """Yields a match for each session that asked in several ways how much mail the account may send, and as whom."""
    asked = [record for record in records if looks_at_sending(record)]
    for record, calls in distinct(asked, by=session, what=action, enough=KINDS, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} looked at what mail {account(record)} may send, by {len(calls)} different calls",
            "dedupe": session(record),
            "calls": calls,
            **origin(record),
        }


def looks_at_sending(record):
    return (
        record.deepget("event.provider") == "ses.amazonaws.com"
        and action(record) in CALLS
        and not by_aws(record)
        and not from_console(record)
    )


def action(record):
    return record.deepget("event.action")
