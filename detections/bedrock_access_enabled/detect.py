from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, region, succeeded, who

STEPS = {
    "PutUseCaseForModelAccess": ("stated a use case for models", "state a use case for models"),
    "PutFoundationModelEntitlement": ("asked for access to a model", "ask for access to a model"),
    "CreateFoundationModelAgreement": ("agreed to the terms of a model", "agree to the terms of a model"),
}
"""What each call does, and what was tried by one that failed."""


def detect(record):
    return (
        record.deepget("event.provider") == "bedrock.amazonaws.com"
        and record.deepget("event.action")
        in ("PutUseCaseForModelAccess", "PutFoundationModelEntitlement", "CreateFoundationModelAgreement")
        and not by_service_itself(record)
    )


def title(record):
    model = parameters(record).get("modelId")
    done, tried = STEPS[record.deepget("event.action")]
    what = (done if succeeded(record) else f"tried to {tried}") + (f" ({model})" if model else "")
    return f"{who(record)} {what} of Bedrock in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    return {"model": parameters(record).get("modelId"), **origin(record)}
