import json


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in ("CreateAccessKey", "CreateLoginProfile")
        and record.deepget("event.outcome") == "success"
        and target(record) is not None
        and target(record) != record.deepget("user.name")
    )


def title(record):
    made = "an access key" if record.deepget("event.action") == "CreateAccessKey" else "a console password"
    return f"{who(record)} made {made} for {target(record)}"


def dedupe(record):
    return f"{who(record)} for {target(record)}"


def severity(record):
    return "critical" if "admin" in target(record).lower() else "high"


def alert_context(record):
    key = response(record).get("accessKey") or {}
    return {
        "new_access_key": key.get("accessKeyId"),
        "made_with": record.deepget("aws.cloudtrail.user_identity.access_key_id"),
        "source": record.deepget("source.address"),
    }


def target(record):
    """The user the credential is for; a request without a name is for the caller's own."""
    return json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}").get("userName")


def response(record):
    return json.loads(record.deepget("aws.cloudtrail.response_elements") or "{}")


def who(record):
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"
