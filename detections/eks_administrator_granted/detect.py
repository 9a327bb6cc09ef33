from urllib.parse import unquote

from lib.cloudtrail import account, by_aws, origin, parameters, succeeded, who

ADMINISTRATES = ("/AmazonEKSClusterAdminPolicy", "/AmazonEKSAdminPolicy")


def detect(record):
    return (
        record.deepget("event.provider") == "eks.amazonaws.com"
        and record.deepget("event.action") == "AssociateAccessPolicy"
        and not by_aws(record)
        and str(parameters(record).get("policyArn")).endswith(ADMINISTRATES)
    )


def title(record):
    tried = "made" if succeeded(record) else "tried to make"
    return f"{who(record)} {tried} {grantee(record)} an administrator of cluster {cluster(record)} in {account(record)}"


def dedupe(record):
    return f"{grantee(record)} on {cluster(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    asked = parameters(record)
    return {
        "cluster": cluster(record),
        "grantee": grantee(record),
        "policy": asked.get("policyArn"),
        "scope": asked.get("accessScope"),
        **origin(record),
    }


def cluster(record):
    asked = parameters(record)
    return asked.get("name") or asked.get("clusterName") or "of an unknown name"


def grantee(record):
    """Who may administrate the cluster now: an ARN, which is part of the URL of the call and encoded like one."""
    return unquote(str(parameters(record).get("principalArn") or "an unknown principal"))
