from policyuniverse.policy import Policy

from lib.cloudtrail import account, by_service_itself, items, listed, origin, parameters, region, who
from lib.organization import outsiders
from lib.policies import ANYBODY, statements, strangers


def detect(record):
    return (
        record.deepget("event.provider") in ("sqs.amazonaws.com", "sns.amazonaws.com")
        and record.deepget("event.action")
        in ("SetQueueAttributes", "CreateQueue", "SetTopicAttributes", "CreateTopic", "AddPermission")
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
        and bool(audience(record))
    )


def title(record):
    accounts = audience(record)
    others = "everybody" if ANYBODY in accounts else f"account {listed(accounts)}"
    return f"{who(record)} opened {target(record)} in {account(record)} to {others}"


def dedupe(record):
    return f"{target(record)} in {account(record)}, {region(record)}"


def severity(record):
    return "high" if ANYBODY in audience(record) else "medium"


def alert_context(record):
    return {"target": target(record), "opened_to": audience(record), **origin(record)}


def audience(record):
    """Whom the call lets in: accounts outside of yours, `ANYBODY` alone where nobody is kept out."""
    asked = parameters(record)
    if record.deepget("event.action") == "AddPermission":
        accounts = [asked.get(key) for key in asked if key.lower().startswith("awsaccountid")]
        return outsiders([name for value in accounts for name in items(value)], record)
    document = policy(asked)
    if Policy({"Statement": statements(document)}).is_internet_accessible():
        return [ANYBODY]
    return [name for name in strangers(document, record) if name != ANYBODY]


def policy(asked):
    """The policy that is set, as text; None where the call sets something else."""
    if asked.get("attributeName") == "Policy":
        return asked.get("attributeValue")
    attributes = asked.get("attributes")
    return attributes.get("Policy") if isinstance(attributes, dict) else None


def target(record):
    asked = parameters(record)
    topic = asked.get("topicArn") or asked.get("name")
    queue = asked.get("queueUrl") or asked.get("queueName")
    kind = "queue" if record.deepget("event.provider") == "sqs.amazonaws.com" else "topic"
    named = str(topic or queue or "").replace("/", ":").rpartition(":")[2]
    return f"{kind} {named or 'of an unknown name'}"
