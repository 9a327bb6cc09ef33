from lib.cloudtrail import account, by_aws, items, origin, parameters, principal, succeeded, who

PROVIDERS = ("wafv2.amazonaws.com", "waf-regional.amazonaws.com", "waf.amazonaws.com", "shield.amazonaws.com")
REMOVES = {
    "DeleteWebACL": "deleted the web ACL",
    "DisassociateWebACL": "took the web ACL from",
    "DeleteLoggingConfiguration": "stopped the request log of",
    "DeleteProtection": "removed Shield's protection",
    "UpdateWebACL": "emptied the web ACL",
}
ACTIONS = tuple(REMOVES)


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_aws(record)
        and (record.deepget("event.action") != "UpdateWebACL" or lets_all_in(record))
    )


def title(record):
    return f"{who(record)} {REMOVES[record.deepget('event.action')]} {target(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return {"target": target(record), **origin(record)}


def lets_all_in(record):
    """Whether a web ACL has no rule any more and allows what no rule speaks of."""
    asked = parameters(record)
    default = asked.get("defaultAction")
    return not items(asked.get("rules")) and isinstance(default, dict) and "allow" in default


def target(record):
    asked = parameters(record)
    keys = ("name", "resourceArn", "webACLId", "protectionId")
    return next((str(asked[key]) for key in keys if asked.get(key)), "of unknown name")
