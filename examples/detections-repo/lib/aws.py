"""What several rules over CloudTrail ask of a record."""


def actor(record):
    """Who did it: the name of a user, or the ARN of a session."""
    return record.deepget("user.name") or record.deepget("aws.cloudtrail.user_identity.arn") or "somebody"


def succeeded(record, action):
    """Whether this is a call of that name, and it worked."""
    return record.deepget("event.action") == action and record.deepget("event.outcome") == "success"
