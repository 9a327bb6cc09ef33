from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, region, succeeded, who

ASKS_FOR_PRODUCTION = ("asked for production access", "ask for production access")
ASKS_FOR_QUOTA = ("asked for a higher quota", "ask for a higher quota")
SWITCHES_ON = ("switched on the sending", "switch on the sending")


def detect(record):
    return (
        record.deepget("event.provider") in ("ses.amazonaws.com", "servicequotas.amazonaws.com")
        and record.deepget("event.action")
        in (
            "PutAccountDetails",
            "UpdateAccountSendingEnabled",
            "PutAccountSendingAttributes",
            "RequestServiceQuotaIncrease",
        )
        and not by_service_itself(record)
        and step(record) is not None
    )


def title(record):
    done, tried = step(record)
    what = done if succeeded(record) else f"tried to {tried}"
    return f"{who(record)} {what} of SES in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    asked = parameters(record)
    return {"website": asked.get("websiteURL"), "wanted_quota": asked.get("desiredValue"), **origin(record)}


def step(record):
    """How the account was made ready to send mail to anybody, done and tried; None where it was not."""
    asked = parameters(record)
    action = record.deepget("event.action")
    if action == "PutAccountDetails":
        return ASKS_FOR_PRODUCTION if asked.get("productionAccessEnabled", True) else None
    if action == "RequestServiceQuotaIncrease":
        return ASKS_FOR_QUOTA if asked.get("serviceCode") == "ses" else None
    enabled = asked.get("enabled") is True or asked.get("sendingEnabled") is True
    return SWITCHES_ON if enabled else None
