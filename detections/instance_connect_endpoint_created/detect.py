from lib.cloudtrail import account, by_aws, ec2_parameters, origin, principal, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "CreateInstanceConnectEndpoint"
        and not by_aws(record)
    )


def title(record):
    tried = "opened" if succeeded(record) else "tried to open"
    return f"{who(record)} {tried} a way to the private instances of {subnet(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    return {"subnet": subnet(record), **origin(record)}


def subnet(record):
    return ec2_parameters(record).get("subnetId") or "an unknown subnet"
