from lib.cloudtrail import account, ec2_parameters, origin, principal, region, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "CreateTrafficMirrorSession"
    )


def title(record):
    done = "mirrors" if succeeded(record) else "tried to mirror"
    return f"{who(record)} {done} the traffic of {interface(record)} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    asked = ec2_parameters(record)
    return {"interface": interface(record), "target": asked.get("trafficMirrorTargetId"), **origin(record)}


def interface(record):
    return ec2_parameters(record).get("networkInterfaceId") or "an unknown interface"
