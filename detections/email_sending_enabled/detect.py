from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, region, succeeded, who


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
    failed = "" if succeeded(record) else ", and failed"
    return f"{who(record)} {step(record)} of SES in {account(record)}, {region(record)}{failed}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    asked = parameters(record)
    return {"website": asked.get("websiteURL"), "wanted_quota": asked.get("desiredValue"), **origin(record)}


def step(record):
    """How the account was made ready to send mail to anybody; None where it was not."""
    asked = parameters(record)
    action = record.deepget("event.action")
    if action == "PutAccountDetails":
        return "asked for the production access" if asked.get("productionAccessEnabled", True) else None
    if action == "RequestServiceQuotaIncrease":
        return "asked for a higher quota" if asked.get("serviceCode") == "ses" else None
    enabled = asked.get("enabled") is True or asked.get("sendingEnabled") is True
    return "switched on the sending" if enabled else None
