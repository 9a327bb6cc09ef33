from lib.cloudtrail import account, by_service_itself, origin, parameters, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "account.amazonaws.com"
        and record.deepget("event.action") == "EnableRegion"
        and not by_service_itself(record)
    )


def title(record):
    done = "enabled" if succeeded(record) else "tried to enable"
    return f"{who(record)} {done} {enabled(record)} in {target(record)}"


def dedupe(record):
    return target(record)


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    return {"enabled": enabled(record), "target": target(record), **origin(record)}


def enabled(record):
    asked = parameters(record)
    name = asked.get("regionName") or asked.get("RegionName")
    return f"the region {name}" if name else "an unknown region"


def target(record):
    """The account in which it is enabled: the management account may name another than itself."""
    asked = parameters(record)
    return asked.get("accountId") or asked.get("AccountId") or account(record)
