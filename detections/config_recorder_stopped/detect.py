from lib.cloudtrail import account, by_service_itself, origin, parameters, region, succeeded, who

STOPS = ("StopConfigurationRecorder", "DeleteConfigurationRecorder", "DeleteDeliveryChannel")


def detect(record):
    return (
        record.deepget("event.provider") == "config.amazonaws.com"
        and record.deepget("event.action") in STOPS
        and not by_service_itself(record)
    )


def title(record):
    tried = "used" if succeeded(record) else "tried to use"
    place = f"{account(record)}, {region(record)}"
    return f"{who(record)} {tried} {record.deepget('event.action')} on {target(record)} of AWS Config in {place}"


def dedupe(record):
    return account(record)


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    return {"target": target(record), **origin(record)}


def target(record):
    asked = parameters(record)
    return asked.get("configurationRecorderName") or asked.get("deliveryChannelName") or "an unnamed target"
