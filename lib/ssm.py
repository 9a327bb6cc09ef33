"""What rules on Systems Manager ask of a record of `aws_cloudtrail`."""

from lib.cloudtrail import items, listed, parameters

RUNS_ANYTHING = {
    "AWS-RunShellScript",
    "AWS-RunPowerShellScript",
    "AWS-RunRemoteScript",
    "AWS-RunDocument",
    "AWS-RunAnsiblePlaybook",
    "AWS-ApplyAnsiblePlaybooks",
    "AWS-RunSaltState",
    "AWS-InstallApplication",
}
"""AWS's documents that run whatever they are given."""


def document_name(named):
    """A document's name, also where it was given by its ARN."""
    return str(named).rsplit("/", 1)[-1]


def instances(record):
    """The ids of the instances that were named one by one."""
    asked = parameters(record)
    return items(asked.get("instanceIds")) + items(asked.get("instanceId"))


def targets(record):
    """The targets that choose instances by a key, such as `{"key": "tag:role", "values": ["web"]}`."""
    return [target for target in items(parameters(record).get("targets")) if isinstance(target, dict)]


def is_on_everything(record):
    return any("*" in items(target.get("values")) for target in targets(record))


def chosen(record):
    """Which instances were chosen, for a title."""
    if is_on_everything(record):
        return "all instances"
    by_key = [f"{target.get('key')}={listed(items(target.get('values')))}" for target in targets(record)]
    return listed(instances(record) + by_key) or "unknown instances"
