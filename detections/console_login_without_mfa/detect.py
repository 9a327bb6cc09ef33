from lib.cloudtrail import account, additional, origin, principal, who


def detect(record):
    return (
        record.deepget("event.provider") == "signin.amazonaws.com"
        and record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("event.outcome") == "success"
        and record.deepget("aws.cloudtrail.user_identity.type") == "IAMUser"
        and additional(record).get("MFAUsed") != "Yes"
    )


def title(record):
    return f"{who(record)} logged in to the console of {account(record)} without MFA"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return {"login_to": additional(record).get("LoginTo"), **origin(record)}
