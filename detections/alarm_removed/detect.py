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
    "PutMetricAlarm",
    "PutRule",
)
SECURITY = re.compile(
    r"secur|guardduty|trail|audit|threat|(?<![a-z])soc(?![a-z])|siem|unauthori[sz]ed|root[-_]?(account|user|log|usage)"
    r"|login|sign-?in|(?<![a-z])(cis(?![a-z])|iam)|mfa|nacl|findings",
    re.IGNORECASE,
)


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_aws(record)
        and takes_away(record)
        and bool(names(record))
    )


def title(record):
    on = listed(names(record), most=3)
    return f"{who(record)} used {record.deepget('event.action')} on {on} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return {"names": names(record)[:20], **origin(record)}


def takes_away(record):
    """Whether a call that may also make an alarm or a rule leaves it without effect; the other calls always do."""
    asked = parameters(record)
    if record.deepget("event.action") == "PutMetricAlarm":
        return asked.get("actionsEnabled") is False
    return record.deepget("event.action") != "PutRule" or asked.get("state") == "DISABLED"


def names(record):
    """What went and speaks of security: alarms, the rule, the filter or its log group."""
    asked = parameters(record)
    named = [asked.get(key) for key in ("name", "rule", "alarmName", "filterName", "logGroupName")]
    return [str(name) for name in [*items(asked.get("alarmNames")), *named] if SECURITY.search(str(name))]
