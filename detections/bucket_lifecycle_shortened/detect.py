import re
from datetime import timedelta

from lib.cloudtrail import account, items, origin, parameters, succeeded, who
from lib.s3 import bucket
from trapline_sandbox.helpers import parse_time

DAYS = 7
LOGS = re.compile(r"trail|audit|awsconfig|(?<![a-z])logs?(?![a-z])|flow-?logs", re.IGNORECASE)
EVERYTHING = ("", "*", "/")


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") in ("PutBucketLifecycle", "PutBucketLifecycleConfiguration")
        and bool(short_rules(record))
    )


def title(record):
    done = "lets" if succeeded(record) else "tried to let"
    return f"{who(record)} {done} everything in the bucket {bucket(record)} expire within {DAYS} days"


def dedupe(record):
    return f"{bucket(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "high" if holds_logs(record) else "medium"


def alert_context(record):
    return {"bucket": bucket(record), "rules": short_rules(record), **origin(record)}


def holds_logs(record):
    """Whether the bucket is one of logs, as far as the names of it and of the rules tell."""
    return any(LOGS.search(str(name)) for name in (bucket(record), *(rule.get("ID") for rule in short_rules(record))))


def short_rules(record):
    asked = parameters(record).get("LifecycleConfiguration")
    rules = items(asked.get("Rule")) if isinstance(asked, dict) else []
    return [rule for rule in rules if isinstance(rule, dict) and is_short(rule, record) and is_about_everything(rule)]


def is_short(rule, record):
    expiration = rule.get("Expiration")
    if rule.get("Status") != "Enabled" or not isinstance(expiration, dict):
        return False
    days, date = expiration.get("Days"), parse_time(expiration.get("Date"))
    if date is not None:
        return date - record["ts"] <= timedelta(days=DAYS)
    return str(days).isdecimal() and int(days) <= DAYS


def is_about_everything(rule):
    """Whether no prefix, tag or size narrows the rule; logs that AWS delivers are beneath `AWSLogs/`."""
    narrowed = rule.get("Filter") or {"Prefix": rule.get("Prefix") or ""}
    prefix = narrowed.get("Prefix") if isinstance(narrowed, dict) else None
    return prefix in EVERYTHING or str(prefix).startswith("AWSLogs")
