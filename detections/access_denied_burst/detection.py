from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, from_console, origin, session, who

ACTIONS = 15
WITHIN = timedelta(minutes=15)
REFUSALS = {"AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "UnauthorizedOperation"}


def detect(records):
    """Yields a match for each principal that was refused many different actions in a short time."""
    refused = filter(is_refusal, records)
    for record, actions in distinct(refused, by=session, what=action, enough=ACTIONS, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} was refused {len(actions)} different actions in {account(record)}",
            "dedupe": session(record),
            "actions": actions,
            **origin(record),
        }


def is_refusal(record):
    return record.deepget("error.code") in REFUSALS and not by_aws(record) and not from_console(record)


def action(record):
    """The action as policies have it, such as `iam:ListUsers`; None where the record does not say."""
    provider, name = record.deepget("event.provider"), record.deepget("event.action")
    return f"{provider.split('.')[0]}:{name}" if provider and name else None
