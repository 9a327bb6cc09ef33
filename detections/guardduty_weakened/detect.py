from lib.cloudtrail import account, by_service_itself, items, listed, origin, parameters, region, succeeded, who

LETS_GO = (
    "DeleteDetector",
    "StopMonitoringMembers",
    "DisassociateMembers",
    "DeleteMembers",
    "DisassociateFromAdministratorAccount",
    "DisassociateFromMasterAccount",
    "DisableOrganizationAdminAccount",
    "DeletePublishingDestination",
)
ACTIONS = ("UpdateDetector", "UpdateMemberDetectors", *LETS_GO)
WHOLE = "the detector"


def detect(record):
    return (
        record.deepget("event.provider") == "guardduty.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and not by_service_itself(record)
        and (record.deepget("event.action") in LETS_GO or bool(switched_off(record)))
    )


def title(record):
    tried = "used" if succeeded(record) else "tried to use"
    off = f" to switch off {listed(switched_off(record))}" if switched_off(record) else ""
    place = f"{account(record)}, {region(record)}"
    return f"{who(record)} {tried} {record.deepget('event.action')}{off} on GuardDuty in {place}"


def dedupe(record):
    return account(record)


def severity(record):
    one_of_many = record.deepget("event.action") not in LETS_GO and WHOLE not in switched_off(record)
    return "high" if succeeded(record) and not one_of_many else "medium"


def alert_context(record):
    asked = parameters(record)
    return {
        "detector": asked.get("detectorId"),
        "accounts": items(asked.get("accountIds")),
        "switched_off": switched_off(record),
        **origin(record),
    }


def switched_off(record):
    """What a call turns off, here or for members: the whole detector, features, and the older data sources."""
    asked = parameters(record)
    whole = [WHOLE] if asked.get("enable") is False else []
    features = [
        str(feature.get("name") or "a feature")
        for feature in items(asked.get("features"))
        if isinstance(feature, dict) and feature.get("status") == "DISABLED"
    ]
    sources = asked.get("dataSources")
    older = [name for name, source in sources.items() if is_off(source)] if isinstance(sources, dict) else []
    return whole + features + older


def is_off(source):
    """Whether a data source is disabled, at whichever depth its switch is."""
    if not isinstance(source, dict):
        return False
    return source.get("enable") is False or any(is_off(inner) for inner in source.values())
