import json

SWITCHES_OFF = {"StopLogging", "DeleteTrail", "DeleteEventDataStore", "DeleteFlowLogs"}
PROVIDERS = {"cloudtrail.amazonaws.com", "ec2.amazonaws.com"}


def detect(record):
    if record.deepget("event.provider") not in PROVIDERS:
        return False
    if record.deepget("event.action") in SWITCHES_OFF:
        return True
    return record.deepget("event.action") == "PutEventSelectors" and not keeps_management_writes(parameters(record))


def title(record):
    tried = "" if succeeded(record) else "tried to "
    action = "use" if tried else "used"
    return f"{who(record)} {tried}{action} {record.deepget('event.action')} on {target(record)}"


def dedupe(record):
    return f"{who(record)} in {record.deepget('cloud.account.id', 'an unknown account')}"


def severity(record):
    return "critical" if succeeded(record) else "medium"


def alert_context(record):
    return {
        "target": target(record),
        "error": record.deepget("error.code"),
        "source": record.deepget("source.address"),
        "access_key": record.deepget("aws.cloudtrail.user_identity.access_key_id"),
    }


def keeps_management_writes(parameters):
    """Whether some selector of the trail still records the API calls that change something."""
    basic = parameters.get("eventSelectors") or []
    advanced = parameters.get("advancedEventSelectors") or []
    return any(
        selector.get("includeManagementEvents", True) and selector.get("readWriteType", "All") != "ReadOnly"
        for selector in basic
    ) or any(selects_management(selector) for selector in advanced)


def selects_management(selector):
    fields = selector.get("fieldSelectors") or []
    chosen = {field.get("field"): field.get("equals") or [] for field in fields}
    return "Management" in chosen.get("eventCategory", []) and "true" not in chosen.get("readOnly", [])


def target(record):
    asked = parameters(record)
    named = asked.get("name") or asked.get("trailName") or asked.get("eventDataStore")
    return named or ", ".join(flow_logs(asked)) or "an unnamed target"


def flow_logs(asked):
    found = (asked.get("DeleteFlowLogsRequest") or {}).get("FlowLogId") or []
    found = found if isinstance(found, list) else [found]
    return [str(item.get("content")) if isinstance(item, dict) else str(item) for item in found]


def parameters(record):
    return json.loads(record.deepget("aws.cloudtrail.request_parameters") or "{}")


def succeeded(record):
    return record.deepget("event.outcome") == "success"


def who(record):
    return record.deepget("user.name") or record.deepget("source.address") or "an unknown principal"
