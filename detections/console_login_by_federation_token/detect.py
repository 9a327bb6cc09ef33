from lib.cloudtrail import account, additional, origin, who


def detect(record):
    return (
        record.deepget("event.provider") == "signin.amazonaws.com"
        and record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("event.outcome") == "success"
        and record.deepget("aws.cloudtrail.user_identity.type") == "FederatedUser"
    )


def title(record):
    return f"{session(record)} opened the console of {account(record)} with a federation token of {issuer(record)}"


def dedupe(record):
    return f"{issuer(record)} in {account(record)}"


def alert_context(record):
    return {
        "session_name": session(record),
        "issuer": record.deepget("aws.cloudtrail.user_identity.session_context.session_issuer.arn"),
        "mfa": additional(record).get("MFAUsed"),
        **origin(record),
    }


def session(record):
    """The name that the token was given, which whoever took it chose."""
    return (record.deepget("aws.cloudtrail.user_identity.arn") or "").partition("/")[2] or who(record)


def issuer(record):
    return record.deepget("aws.cloudtrail.user_identity.session_context.session_issuer.user_name") or "an unknown user"
