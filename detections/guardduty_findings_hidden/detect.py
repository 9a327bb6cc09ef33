from lib.cloudtrail import account, by_service_itself, items, origin, parameters, region, succeeded, who

LISTS = ("CreateIPSet", "UpdateIPSet", "CreateTrustedEntitySet", "UpdateTrustedEntitySet")
FILTERS = ("CreateFilter", "UpdateFilter")
ACTIONS = (*LISTS, *FILTERS, "ArchiveFindings")
MANY = 20


def detect(record):
    return (
        record.deepget("event.provider") == "guardduty.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_service_itself(record)
        and hides(record)
    )


def title(record):
    action = record.deepget("event.action")
    if action == "ArchiveFindings":
        done = f"archived {len(findings(record))} findings"
    elif action in FILTERS:
        done = f"has findings archived unseen by the filter {name(record)}"
    else:
        done = f"has addresses or domains trusted by the list {name(record)}"
    return f"{who(record)} {done} in GuardDuty of {account(record)}, {region(record)}"


def dedupe(record):
    return f"{account(record)} {region(record)}"


def severity(record):
    return "low" if record.deepget("event.action") == "ArchiveFindings" else "medium"


def alert_context(record):
    asked = parameters(record)
    return {
        "name": name(record),
        "criteria": asked.get("findingCriteria"),
        "list": asked.get("location"),
        "findings": findings(record)[:MANY],
        **origin(record),
    }


def hides(record):
    asked = parameters(record)
    if record.deepget("event.action") in LISTS:
        return asked.get("activate", "location" in asked) is True
    if record.deepget("event.action") in FILTERS:
        return asked.get("action") == "ARCHIVE"
    return len(findings(record)) >= MANY


def name(record):
    asked = parameters(record)
    known = asked.get("name") or asked.get("filterName") or asked.get("ipSetId") or asked.get("trustedEntitySetId")
    return known or "of unknown name"


def findings(record):
    return items(parameters(record).get("findingIds"))
