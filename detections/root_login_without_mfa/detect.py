from lib.cloudtrail import account, additional, origin


def detect(record):
    return (
        record.deepget("event.provider") == "signin.amazonaws.com"
        and record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("event.outcome") == "success"
        and record.deepget("aws.cloudtrail.user_identity.type") == "Root"
        and additional(record).get("MFAUsed") != "Yes"
    )


def title(record):
    return f"The root user of {account(record)} logged in without MFA"


def dedupe(record):
    return account(record)


def alert_context(record):
    return {"login_to": additional(record).get("LoginTo"), **origin(record)}
