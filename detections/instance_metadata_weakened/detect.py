from lib.cloudtrail import account, by_aws, ec2_parameters, origin, principal, region, succeeded, who

ACTIONS = ("ModifyInstanceMetadataOptions", "ModifyInstanceMetadataDefaults")


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_aws(record)
        and ec2_parameters(record).get("httpTokens") == "optional"
    )


def title(record):
    place = f"{account(record)}, {region(record)}"
    return f"{who(record)} let metadata of {target(record)} be read without a token in {place}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if record.deepget("event.action") == "ModifyInstanceMetadataDefaults" else "low"


def alert_context(record):
    asked = ec2_parameters(record)
    return {
        "target": target(record),
        "endpoint": asked.get("httpEndpoint"),
        "hop_limit": asked.get("httpPutResponseHopLimit"),
        **origin(record),
    }


def target(record):
    if record.deepget("event.action") == "ModifyInstanceMetadataDefaults":
        return "all new instances"
    return ec2_parameters(record).get("instanceId") or "an unknown instance"
