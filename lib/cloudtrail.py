"""What most rules on `aws_cloudtrail` ask of a record. Nothing in here raises, whatever is null in it."""

import json

CONSOLE_AGENTS = ("console.amazonaws.com", "S3Console", "AWS Internal", "Mozilla/")


def parameters(record):
    """What was asked for: `requestParameters` as a dictionary."""
    return _object(record.deepget("aws.cloudtrail.request_parameters"))


def ec2_parameters(record):
    """`parameters` of EC2's newer calls, without the envelope `NAMERequest` around them; keys begin in lower case."""
    asked = parameters(record)
    inner = next((asked[key] for key in asked if key.endswith("Request")), None)
    found = inner if isinstance(inner, dict) else asked
    return {key[:1].lower() + key[1:]: value for key, value in found.items()}


def response(record):
    """What was answered: `responseElements` as a dictionary. Calls that only read have none."""
    return _object(record.deepget("aws.cloudtrail.response_elements"))


def additional(record):
    """`additionalEventData` as a dictionary: what the service says beyond request and response."""
    return _object(record.deepget("aws.cloudtrail.additional_event_data"))


def succeeded(record):
    return record.deepget("event.outcome") == "success"


def who(record):
    """Who did it, for a title: the user, the role, or the service."""
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"


def principal(record):
    """Who did it, for a dedupe key: the ARN of the user, or of the role whatever the session is called."""
    return (
        record.deepget("aws.cloudtrail.user_identity.session_context.session_issuer.arn")
        or record.deepget("aws.cloudtrail.user_identity.arn")
        or record.deepget("user.id")
        or who(record)
    )


def session(record):
    """Who did it, for counting: the ARN of the user, or of one session of a role."""
    return record.deepget("aws.cloudtrail.user_identity.arn") or principal(record)


def account(record):
    return record.deepget("cloud.account.id") or "an unknown account"


def region(record):
    return record.deepget("cloud.region") or "an unknown region"


def by_aws(record):
    """Whether a service of AWS did it, of its own accord or for somebody: it is not the caller's own doing."""
    kind = record.deepget("aws.cloudtrail.user_identity.type")
    return kind == "AWSService" or record.deepget("aws.cloudtrail.user_identity.invoked_by") is not None


def by_service_itself(record):
    """Whether a service of AWS did it of its own accord, as itself or by its service-linked role.

    What a service such as CloudFormation does for somebody is that somebody's doing.
    """
    issuer = record.deepget("aws.cloudtrail.user_identity.session_context.session_issuer.arn", "")
    return record.deepget("aws.cloudtrail.user_identity.type") == "AWSService" or ":role/aws-service-role/" in issuer


def from_console(record):
    """Whether the AWS console made the call: its pages make many that nobody asked for.

    The user agent is what the caller says, so it counts only in a session, which the console always has: a leaked
    access key cannot pass for it.
    """
    in_session = record.deepget("aws.cloudtrail.user_identity.session_context.attributes.creation_date") is not None
    agent = record.deepget("user_agent.original") or ""
    return record.deepget("aws.cloudtrail.session_credential_from_console") == "true" or (
        in_session and any(sign in agent for sign in CONSOLE_AGENTS)
    )


def origin(record):
    """Where it came from: what an analyst looks at first, for `alert_context`."""
    return {
        "principal": principal(record),
        "session": record.deepget("aws.cloudtrail.user_identity.arn"),
        "access_key": record.deepget("aws.cloudtrail.user_identity.access_key_id"),
        "source": record.deepget("source.address"),
        "user_agent": record.deepget("user_agent.original"),
        "account": record.deepget("cloud.account.id"),
        "region": record.deepget("cloud.region"),
        "error": record.deepget("error.code"),
    }


def items(value):
    """A list, however CloudTrail has it: as one, as `{"items": [...]}` as EC2's are, as a single thing, or as null."""
    if isinstance(value, dict) and isinstance(value.get("items"), list | None) and "items" in value:
        value = value["items"]
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def at(value, *path):
    """What lies at a path of dictionaries, in a request or an answer; None where there is no such thing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def listed(names, most=5):
    """Names for a title: the first few, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _object(text):
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
