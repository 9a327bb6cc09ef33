from lib.cloudtrail import account, by_aws, by_service_itself, listed, origin, parameters, response, succeeded, who
from lib.policies import ANYBODY, strangers

RESOURCES = {
    "backup.amazonaws.com": ("backup vault", "backupVaultName"),
    "dynamodb.amazonaws.com": ("DynamoDB table", "resourceArn"),
    "ecr.amazonaws.com": ("image repository", "repositoryName"),
    "elasticfilesystem.amazonaws.com": ("file system", "fileSystemId"),
    "glue.amazonaws.com": ("data catalogue", "resourceArn"),
    "kms.amazonaws.com": ("KMS key", "keyId"),
    "secretsmanager.amazonaws.com": ("secret", "secretId"),
}
"""What a policy of the service is on, and the parameter that names it."""
ACTIONS = (
    "PutKeyPolicy",
    "CreateGrant",
    "PutResourcePolicy",
    "SetRepositoryPolicy",
    "PutBackupVaultAccessPolicy",
    "PutFileSystemPolicy",
)
POLICIES = ("policy", "policyText", "policyInJson", "resourcePolicy")


def detect(record):
    return (
        record.deepget("event.provider") in RESOURCES
        and record.deepget("event.action") in ACTIONS
        and not by_service_itself(record)
        and not (record.deepget("event.action") == "CreateGrant" and by_aws(record))
        and bool(audience(record))
    )


def title(record):
    gave = "gave" if succeeded(record) else "tried to give"
    accounts = audience(record)
    others = "everybody" if ANYBODY in accounts else f"account {listed(accounts)}"
    return f"{who(record)} {gave} {others} access to {target(record)} in {account(record)}"


def dedupe(record):
    return f"{target(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "critical" if ANYBODY in audience(record) else "high"


def alert_context(record):
    return {"target": target(record), "opened_to": audience(record), **origin(record)}


def audience(record):
    """Whom the policy, or the grant, lets in that is not yours: account ids, `ANYBODY` first."""
    asked = parameters(record)
    if record.deepget("event.action") == "CreateGrant":
        granted = {"Effect": "Allow", "Principal": {"AWS": asked.get("granteePrincipal")}}
        return strangers({"Statement": granted}, record)
    return strangers(next((asked[name] for name in POLICIES if asked.get(name)), None), record)


def target(record):
    kind, name = RESOURCES[record.deepget("event.provider")]
    return f"{kind} {parameters(record).get(name) or response(record).get(name) or 'of an unknown name'}"
