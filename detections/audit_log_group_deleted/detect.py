import re

from lib.cloudtrail import account, by_service_itself, origin, parameters, region, succeeded, who

DAYS = 7
AUDIT = re.compile(
    r"trail|audit|flow-?_?log|route53|resolver|dns-?_?quer|guardduty|securityhub|aws-waf-logs|network-?firewall"
    r"|/aws/eks/.+/cluster|vpn|ssm|session-?_?manager",
    re.IGNORECASE,
)

OUTPUT = ("/aws/lambda/", "/aws/codebuild/")


def detect(record):
    return (
        record.deepget("event.provider") == "logs.amazonaws.com"
        and record.deepget("event.action") in ("DeleteLogGroup", "DeleteLogStream", "PutRetentionPolicy")
        and not by_service_itself(record)
        and holds_audit_logs(group(record))
        and (record.deepget("event.action") != "PutRetentionPolicy" or days(record) <= DAYS)
    )


def title(record):
    action = record.deepget("event.action")
    if action == "PutRetentionPolicy":
        done = f"{'cut' if succeeded(record) else 'tried to cut'} the retention to {days(record)} days of"
    else:
        done = "deleted" if succeeded(record) else "tried to delete"
        done += " a stream of" if action == "DeleteLogStream" else ""
    return f"{who(record)} {done} the log group {group(record)} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{group(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    asked = parameters(record)
    return {"log_group": group(record), "log_stream": asked.get("logStreamName"), **origin(record)}


def group(record):
    return str(parameters(record).get("logGroupName") or "")


def holds_audit_logs(name):
    """Whether the name says so; what a function or a build is called says nothing of its output."""
    return AUDIT.search(name) is not None and not name.startswith(OUTPUT)


def days(record):
    kept = parameters(record).get("retentionInDays")
    return kept if isinstance(kept, int) else DAYS + 1
