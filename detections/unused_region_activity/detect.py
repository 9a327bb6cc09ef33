from lib.cloudtrail import account, by_service_itself, origin, principal, region, succeeded, who
from lib.organization import is_unused_region

CREATES = (
    "RunInstances",
    "CreateInstances",
    "CreateFleet",
    "RequestSpotInstances",
    "RequestSpotFleet",
    "CreateLaunchTemplate",
    "CreateAutoScalingGroup",
    "CreateVpc",
    "ImportKeyPair",
    "CreateKeyPair",
    "CreateCluster",
    "CreateFunction20150331",
    "CreateDBInstance",
    "CreateBucket",
    "CreateNotebookInstance",
    "CreateTrainingJob",
    "RunTask",
    "CreateComputeEnvironment",
    "CreateStack",
    "CopyImage",
    "CopySnapshot",
)


def detect(record):
    return (
        record.deepget("event.action") in CREATES
        and not by_service_itself(record)
        and is_unused_region(record.deepget("cloud.region"))
    )


def title(record):
    tried = "used" if succeeded(record) else "tried to use"
    action = record.deepget("event.action")
    return f"{who(record)} {tried} {action} in {region(record)}, a region not in use, in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {region(record)}"


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    return {"parameters": record.deepget("aws.cloudtrail.request_parameters"), **origin(record)}
