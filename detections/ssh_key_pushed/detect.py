from lib.cloudtrail import account, origin, parameters, principal, succeeded, who

CONSOLES = {"SendSSHPublicKey": "SSH", "SendSerialConsoleSSHPublicKey": "the serial console"}


def detect(record):
    return (
        record.deepget("event.provider") == "ec2-instance-connect.amazonaws.com"
        and record.deepget("event.action") in CONSOLES
    )


def title(record):
    tried = "pushed" if succeeded(record) else "tried to push"
    console = CONSOLES[record.deepget("event.action")]
    return f"{who(record)} {tried} a key for {console} to {instance(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    if not succeeded(record):
        return "low"
    return "low" if record.deepget("event.action") == "SendSSHPublicKey" else "high"


def alert_context(record):
    asked = parameters(record)
    return {"instance": instance(record), "os_user": asked.get("instanceOSUser"), **origin(record)}


def instance(record):
    return parameters(record).get("instanceId") or "an unknown instance"
