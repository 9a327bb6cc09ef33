from lib.cloudtrail import account, by_service_itself, origin, parameters, principal, region, succeeded, who

REMOVES = ("DeleteResolverQueryLogConfig", "DisassociateResolverQueryLogConfig")


def detect(record):
    return (
        record.deepget("event.provider") == "route53resolver.amazonaws.com"
        and record.deepget("event.action") in REMOVES
        and not by_service_itself(record)
    )


def title(record):
    done = "took" if succeeded(record) else "tried to take"
    return f"{who(record)} {done} DNS query logging from {vpc(record)} in {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    return {"vpc": vpc(record), "configuration": configuration(record), **origin(record)}


def vpc(record):
    if record.deepget("event.action") == "DeleteResolverQueryLogConfig":
        return f"all VPCs of {configuration(record)}"
    return parameters(record).get("resourceId") or "an unknown VPC"


def configuration(record):
    return parameters(record).get("resolverQueryLogConfigId") or "an unknown configuration"
