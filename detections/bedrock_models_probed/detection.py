from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, origin, parameters, principal, region, who

CALLS = ("InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream")
BUSY = ("ThrottlingException", "ServiceUnavailableException", "ModelNotReadyException", "InternalServerException")
ENOUGH = 5
WITHIN = timedelta(minutes=15)


def detect(records):
    """Yields a match for each principal that was refused by many different models in a short time."""
    for record, models in distinct(filter(is_refusal, records), by=caller, what=model, enough=ENOUGH, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} tries one model of Bedrock after another in {account(record)} and is refused",
            "dedupe": caller(record),
            "alert_context": {"models": models, **origin(record)},
        }


def is_refusal(record):
    return (
        record.deepget("event.provider") == "bedrock.amazonaws.com"
        and record.deepget("event.action") in CALLS
        and record.deepget("event.outcome") == "failure"
        and record.deepget("error.code") not in BUSY
        and not by_aws(record)
    )


def caller(record):
    return f"{principal(record)} in {account(record)}"


def model(record):
    """The model and the region it was asked in; None where the call does not name one."""
    name = parameters(record).get("modelId")
    return f"{name} in {region(record)}" if name else None
