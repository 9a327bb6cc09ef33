import re

from lib.cloudtrail import account, at, by_aws, items, origin, parameters, principal, region, response, succeeded, who
from lib.organization import is_unused_region

ACCELERATED = re.compile(r"(p|g|gr|inf|trn|dl|vt|f)\d.*")
HUGE = re.compile(r"u-?\d.*|.+\.metal.*|.+\.(2[4-9]|[3-9]\d|\d{3})xlarge")
MANY = 20
SEVERAL = 5
REFUSALS = {
    "Client.VcpuLimitExceeded",
    "Client.InstanceLimitExceeded",
    "Client.MaxSpotInstanceCountExceeded",
    "Client.UnauthorizedOperation",
}


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ("RunInstances", "RequestSpotInstances")
        and not by_aws(record)
        and (succeeded(record) or record.deepget("error.code") in REFUSALS)
        and (is_costly(record) or count(record) >= MANY)
    )


def title(record):
    tried = "launched" if succeeded(record) else "tried to launch"
    many = f"up to {count(record)}" if count(record) > 1 else "an instance of"
    return f"{who(record)} {tried} {many} {kind(record)} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    if record.deepget("error.code") == "Client.UnauthorizedOperation":
        return "low"
    several = is_costly(record) and count(record) >= SEVERAL
    return "high" if several or is_unused_region(record.deepget("cloud.region")) else "medium"


def alert_context(record):
    return {
        "instance_type": kind(record),
        "count": count(record),
        "instances": [item.get("instanceId") for item in launched(record)][:50],
        "image": next((item.get("imageId") for item in asked_for(record)), None),
        **origin(record),
    }


def kind(record):
    """The instance type. That of a launch template is only in the answer."""
    asked, answered = parameters(record), next((item.get("instanceType") for item in launched(record)), None)
    return (
        asked.get("instanceType") or at(asked, "launchSpecification", "instanceType") or answered or "an unknown type"
    )


def count(record):
    """How many instances were asked for at most."""
    numbers = [item.get("maxCount") for item in asked_for(record)] + [parameters(record).get("instanceCount")]
    return sum(number for number in numbers if isinstance(number, int))


def is_costly(record):
    return bool(ACCELERATED.fullmatch(kind(record)) or HUGE.fullmatch(kind(record)))


def asked_for(record):
    return [item for item in items(parameters(record).get("instancesSet")) if isinstance(item, dict)]


def launched(record):
    return [item for item in items(response(record).get("instancesSet")) if isinstance(item, dict)]
