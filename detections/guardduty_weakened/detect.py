from lib.cloudtrail import account, by_service_itself, items, listed, origin, parameters, region, succeeded, who

DELETES = {
    "DeleteDetector": "deleted the detector",
    "StopMonitoringMembers": "stopped monitoring member accounts",
    "DisassociateMembers": "dismissed member accounts",
    "DeleteMembers": "removed member accounts",
    "DisassociateFromAdministratorAccount": "left the administrator account",
    "DisassociateFromMasterAccount": "left the administrator account",
    "DisableOrganizationAdminAccount": "dismissed the organisation's administrator",
    "DeletePublishingDestination": "stopped the export of findings",
}
ACTIONS = ("UpdateDetector", *DELETES)


def detect(record):
    return (
        record.deepget("event.provider") == "guardduty.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and not by_service_itself(record)
        and (record.deepget("event.action") in DELETES or bool(switched_off(record)))
    )


def title(record):
    done = DELETES.get(record.deepget("event.action")) or f"switched off {listed(switched_off(record))}"
    tried = "" if succeeded(record) else " (refused)"
    return f"{who(record)} {done} of GuardDuty in {account(record)}, {region(record)}{tried}"


def dedupe(record):
    return account(record)


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    asked = parameters(record)
    return {
        "detector": asked.get("detectorId"),
        "accounts": items(asked.get("accountIds")),
        "switched_off": switched_off(record),
        **origin(record),
    }


def switched_off(record):
    """What an UpdateDetector turns off: the whole detector, features, and the older data sources."""
    asked = parameters(record)
    whole = ["the detector"] if asked.get("enable") is False else []
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
