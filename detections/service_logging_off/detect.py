from lib.cloudtrail import account, by_aws, items, listed, origin, parameters, region, succeeded, who

PROVIDERS = (
    "eks.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "rds.amazonaws.com",
    "redshift.amazonaws.com",
)
ACTIONS = (
    "UpdateClusterConfig",
    "ModifyLoadBalancerAttributes",
    "ModifyDBInstance",
    "ModifyDBCluster",
    "DisableLogging",
)
SECURITY_LOGS = ("audit", "authenticator", "connection", "general", "iam-db-auth-error", "listener", "postgresql")
"""The logs of clusters and databases that say who did what; the others are for operation."""
LOAD_BALANCER_LOGS = ("access_logs.s3.enabled", "connection_logs.s3.enabled")


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_aws(record)
        and bool(switched_off(record))
    )


def title(record):
    place = f"{account(record)}, {region(record)}"
    return f"{who(record)} turned off the log ({listed(switched_off(record))}) of {target(record)} in {place}"


def dedupe(record):
    return f"{target(record)} in {account(record)}"


def severity(record):
    """Terraform says of every load balancer that it makes that its logs are off, though they never were on."""
    return "low" if record.deepget("event.action") == "ModifyLoadBalancerAttributes" else "medium"


def alert_context(record):
    return {"target": target(record), "logs": switched_off(record), **origin(record)}


def switched_off(record):
    """The logs that matter here and that a call ends, by the names that the service has for them."""
    asked, action = parameters(record), record.deepget("event.action")
    if action == "DisableLogging":
        return ["audit"]
    if action == "UpdateClusterConfig":
        logging = asked.get("logging")
        setups = items(logging.get("clusterLogging")) if isinstance(logging, dict) else []
        off = [setup for setup in setups if isinstance(setup, dict) and setup.get("enabled") is False]
        return [kind for setup in off for kind in items(setup.get("types")) if kind in SECURITY_LOGS]
    if action == "ModifyLoadBalancerAttributes":
        pairs = [pair for pair in items(asked.get("attributes")) if isinstance(pair, dict)]
        return [str(pair["key"]) for pair in pairs if is_log_off(pair)]
    exports = asked.get("cloudwatchLogsExportConfiguration")
    ended = items(exports.get("disableLogTypes")) if isinstance(exports, dict) else []
    return [kind for kind in ended if kind in SECURITY_LOGS]


def is_log_off(pair):
    return pair.get("key") in LOAD_BALANCER_LOGS and str(pair.get("value")).lower() == "false"


def target(record):
    asked = parameters(record)
    keys = ("name", "loadBalancerArn", "dBInstanceIdentifier", "dBClusterIdentifier", "clusterIdentifier")
    return next((str(asked[key]) for key in keys if asked.get(key)), "an unknown resource")
