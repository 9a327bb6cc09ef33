import json

from lib.cloudtrail import items, origin, parameters, who
from lib.s3 import bucket, header

GROUPS = {"/groups/global/AllUsers": "everybody", "/groups/global/AuthenticatedUsers": "every AWS account"}
CANNED = {
    "public-read": ("everybody", "READ"),
    "public-read-write": ("everybody", "WRITE"),
    "authenticated-read": ("every AWS account", "READ"),
}
HEADERS = {
    "x-amz-grant-read": "READ",
    "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write": "WRITE",
    "x-amz-grant-write-acp": "WRITE_ACP",
    "x-amz-grant-full-control": "FULL_CONTROL",
}


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") in ("PutBucketAcl", "CreateBucket", "PutObjectAcl")
        and record.deepget("event.outcome") == "success"
        and bool(grants(record))
    )


def title(record):
    audience = "everybody" if any(group == "everybody" for group, _ in grants(record)) else "every AWS account"
    what = "objects of bucket" if record.deepget("event.action") == "PutObjectAcl" else "bucket"
    return f"{who(record)} opened {what} {bucket(record)} to {audience} by access control lists"


def dedupe(record):
    return bucket(record)


def severity(record):
    """A stranger who may write, or change the list itself, is worse than one who may read."""
    if any(not permission.startswith("READ") for _, permission in grants(record)):
        return "critical"
    return "medium" if record.deepget("event.action") == "PutObjectAcl" else "high"


def alert_context(record):
    return {
        "bucket": bucket(record),
        "object": parameters(record).get("key"),
        "grants": [f"{group}: {permission}" for group, permission in grants(record)],
        **origin(record),
    }


def grants(record):
    """What is given to groups that anybody is in, as group and permission, sorted: by canned list, header or body."""
    found = set()
    if header(record, "x-amz-acl") in CANNED:
        found.add(CANNED[header(record, "x-amz-acl")])
    for name, permission in HEADERS.items():
        found |= {(group, permission) for end, group in GROUPS.items() if end in (header(record, name) or "")}
    policy = parameters(record).get("AccessControlPolicy")
    body = policy.get("AccessControlList") if isinstance(policy, dict) else None
    for grant in items(body.get("Grant")) if isinstance(body, dict) else []:
        if isinstance(grant, dict):
            grantee = json.dumps(grant.get("Grantee"))
            permission = str(grant.get("Permission"))
            found |= {(group, permission) for end, group in GROUPS.items() if end in grantee}
    return sorted(found)
