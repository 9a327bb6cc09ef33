from lib.cloudtrail import account, by_aws, items, listed, origin, parameters, principal, succeeded, who

RUN_ANYTHING = {"AWS-RunShellScript", "AWS-RunPowerShellScript", "AWS-RunRemoteScript", "AWS-RunDocument"}
MANY = 10


def detect(record):
    return (
        record.deepget("event.provider") == "ssm.amazonaws.com"
        and record.deepget("event.action") == "SendCommand"
        and not by_aws(record)
        and document(record) in RUN_ANYTHING
    )


def title(record):
    tried = "ran" if succeeded(record) else "tried to run"
    return f"{who(record)} {tried} {document(record)} on {target(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "high" if is_everything(record) or len(instances(record)) >= MANY else "medium"


def alert_context(record):
    return {
        "document": document(record),
        "instances": instances(record),
        "targets": targets(record),
        **origin(record),
    }


def document(record):
    """The document's name, also where it was given by its ARN."""
    return str(parameters(record).get("documentName")).rsplit("/", 1)[-1]


def instances(record):
    return items(parameters(record).get("instanceIds"))


def targets(record):
    return [target for target in items(parameters(record).get("targets")) if isinstance(target, dict)]


def is_everything(record):
    return any("*" in items(target.get("values")) for target in targets(record))


def target(record):
    if is_everything(record):
        return "all instances"
    chosen = [f"{target.get('key')}={listed(items(target.get('values')))}" for target in targets(record)]
    return listed(instances(record) + chosen) or "unknown instances"
