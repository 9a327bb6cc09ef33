import re

from lib.cloudtrail import account, by_aws, items, listed, origin, parameters, principal, region, succeeded, who

PROVIDERS = ("monitoring.amazonaws.com", "events.amazonaws.com", "logs.amazonaws.com")
ACTIONS = (
    "DeleteAlarms",
    "DisableAlarmActions",
    "DisableRule",
    "DeleteRule",
    "RemoveTargets",
    "DeleteMetricFilter",
    "DeleteSubscriptionFilter",
)
SECURITY = re.compile(
    r"secur|guardduty|trail|audit|threat|\bsoc\b|siem|unauthori[sz]ed|root-?(account|user|log|usage)|login|sign-?in"
    r"|\biam|mfa|nacl|findings",
    re.IGNORECASE,
)


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_aws(record)
        and bool(names(record))
    )


def title(record):
    on = listed(names(record), most=3)
    return f"{who(record)} used {record.deepget('event.action')} on {on} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return {"names": names(record)[:20], **origin(record)}


def names(record):
    """What went and speaks of security: alarms, the rule, the filter or its log group."""
    asked = parameters(record)
    named = [asked.get(key) for key in ("name", "rule", "filterName", "logGroupName")]
    return [str(name) for name in [*items(asked.get("alarmNames")), *named] if SECURITY.search(str(name))]
