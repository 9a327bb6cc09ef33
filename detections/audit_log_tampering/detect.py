from lib.cloudtrail import account, items, listed, origin, parameters, principal, succeeded, who

SWITCHES_OFF = {"StopLogging", "DeleteTrail", "DeleteEventDataStore", "StopEventDataStoreIngestion", "DeleteFlowLogs"}
NARROWS = {"PutEventSelectors", "UpdateTrail", "UpdateEventDataStore"}
REACH = (
    "isMultiRegionTrail",
    "includeGlobalServiceEvents",
    "isOrganizationTrail",
    "multiRegionEnabled",
    "organizationEnabled",
)
"""How far a trail or an event data store reaches, where it is switched on."""
PROVIDERS = {"cloudtrail.amazonaws.com", "ec2.amazonaws.com"}


def detect(record):
    if record.deepget("event.provider") not in PROVIDERS:
        return False
    if record.deepget("event.action") in SWITCHES_OFF:
        return True
    return record.deepget("event.action") in NARROWS and narrows(record)


def title(record):
    tried = "used" if succeeded(record) else "tried to use"
    return f"{who(record)} {tried} {record.deepget('event.action')} on {target(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    """Flow logs go with every network that is taken down, and a trail that was narrowed still records something."""
    if not succeeded(record) or record.deepget("event.action") == "DeleteFlowLogs":
        return "medium"
    return "high" if record.deepget("event.action") in NARROWS else "critical"


def alert_context(record):
    return {"target": target(record), **origin(record)}


def narrows(record):
    """Whether some calls that change something are no longer recorded, at all or elsewhere than here."""
    if record.deepget("event.action") == "PutEventSelectors":
        return not keeps_management_writes(parameters(record))
    return any(parameters(record).get(switch) is False for switch in REACH)


def keeps_management_writes(asked):
    """Whether some selector of the trail still records the API calls that change something."""
    return any(
        selector.get("includeManagementEvents", True) and selector.get("readWriteType", "All") != "ReadOnly"
        for selector in items(asked.get("eventSelectors"))
    ) or any(selects_management(selector) for selector in items(asked.get("advancedEventSelectors")))


def selects_management(selector):
    chosen = {field.get("field"): items(field.get("equals")) for field in items(selector.get("fieldSelectors"))}
    return "Management" in chosen.get("eventCategory", []) and "true" not in chosen.get("readOnly", [])


def target(record):
    asked = parameters(record)
    named = asked.get("name") or asked.get("trailName") or asked.get("eventDataStore")
    return named or listed(flow_logs(asked)) or "an unnamed target"


def flow_logs(asked):
    found = items((asked.get("DeleteFlowLogsRequest") or {}).get("FlowLogId"))
    return [str(item.get("content")) if isinstance(item, dict) else str(item) for item in found]
