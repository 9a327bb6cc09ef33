from lib.cloudtrail import account, by_aws, origin


def detect(record):
    return (
        record.deepget("aws.cloudtrail.user_identity.type") == "Root"
        and record.deepget("event.provider") != "signin.amazonaws.com"
        and record.deepget("aws.cloudtrail.event_type") != "AwsServiceEvent"
        and not by_aws(record)
    )


def title(record):
    with_key = "an access key of the root user" if has_access_key(record) else "the root user"
    return f"{record.deepget('event.action') or 'An unknown call'} by {with_key} of {account(record)}"


def dedupe(record):
    return account(record)


def severity(record):
    if has_access_key(record):
        return "critical"
    return "low" if record.deepget("aws.cloudtrail.read_only") else "high"


def alert_context(record):
    return {
        "provider": record.deepget("event.provider"),
        "action": record.deepget("event.action"),
        "mfa": record.deepget("aws.cloudtrail.user_identity.session_context.attributes.mfa_authenticated"),
        "assumed_root": record.deepget("aws.cloudtrail.user_identity.session_context.assumed_root"),
        **origin(record),
    }


def has_access_key(record):
    """Whether it was done with a long-term access key, which the root user should not have."""
    return (record.deepget("aws.cloudtrail.user_identity.access_key_id") or "").startswith("AKIA")
