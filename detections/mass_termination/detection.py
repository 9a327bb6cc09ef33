from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, items, listed, origin, parameters, principal, who

NAMES = {
    "TerminateInstances": "instancesSet",
    "DeleteVolume": "volumeId",
    "DeleteDBInstance": "dBInstanceIdentifier",
    "DeleteDBCluster": "dBClusterIdentifier",
    "DeleteTable": "tableName",
    "DeleteFileSystem": "fileSystemId",
    "DeleteBucket": "bucketName",
    "DeleteReplicationGroup": "replicationGroupId",
    "DeleteCacheCluster": "cacheClusterId",
    "DeleteDomain": "domainName",
    "DeleteElasticsearchDomain": "domainName",
    "DeleteStream": "streamName",
}
"""The parameter that names the resource, for each call that deletes one with its data."""
PROVIDERS = (
    "ec2.amazonaws.com",
    "rds.amazonaws.com",
    "dynamodb.amazonaws.com",
    "elasticfilesystem.amazonaws.com",
    "fsx.amazonaws.com",
    "s3.amazonaws.com",
    "elasticache.amazonaws.com",
    "es.amazonaws.com",
    "kinesis.amazonaws.com",
)
ENOUGH = 20
WITHIN = timedelta(minutes=15)


def detect(records):
    """Yields a match for each principal that deleted many different resources of an account in a short time."""
    deletions = [deletion for record in filter(is_deletion, records) for deletion in each(record)]
    for deletion, resources in distinct(deletions, by=doer, what=resource, enough=ENOUGH, within=WITHIN):
        record = deletion["record"]
        kinds = sorted({name.partition(" ")[0] for name in resources})
        yield {
            "record": record,
            "title": f"{who(record)} deletes resources in {account(record)} in bulk: {listed(kinds)}",
            "dedupe": doer(deletion),
            "alert_context": {"resources": resources, **origin(record)},
        }


def is_deletion(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in NAMES
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
    )


def each(record):
    """One deletion for each resource that a call names. A call that names none is taken for one of its own."""
    action = record.deepget("event.action")
    asked = items(parameters(record).get(NAMES[action]))
    found = [item.get("instanceId") if isinstance(item, dict) else item for item in asked]
    named = [name for name in found if name] or [record.deepget("event.id")]
    return [{"ts": record["ts"], "record": record, "resource": f"{action} {name}"} for name in named]


def doer(deletion):
    return f"{principal(deletion['record'])} in {account(deletion['record'])}"


def resource(deletion):
    return deletion["resource"]
