from lib.cloudtrail import account, by_aws, origin, parameters, principal, region, succeeded, who

PROVIDERS = ("network-firewall.amazonaws.com", "route53resolver.amazonaws.com")
REMOVES = (
    "DeleteFirewall",
    "DisassociateSubnets",
    "UpdateFirewallDeleteProtection",
    "UpdateLoggingConfiguration",
    "DisassociateFirewallRuleGroup",
    "UpdateFirewallConfig",
)


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in REMOVES
        and succeeded(record)
        and not by_aws(record)
        and weakens(record)
    )


def title(record):
    action = record.deepget("event.action")
    return f"{who(record)} used {action} on {target(record)} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def alert_context(record):
    return {"target": target(record), **origin(record)}


def weakens(record):
    asked, action = parameters(record), record.deepget("event.action")
    if action == "UpdateFirewallDeleteProtection":
        return asked.get("deleteProtection") is False
    if action == "UpdateLoggingConfiguration":
        logging = asked.get("loggingConfiguration")
        return isinstance(logging, dict) and not logging.get("logDestinationConfigs")
    if action == "UpdateFirewallConfig":
        return asked.get("firewallFailOpen") == "ENABLED"
    return True


def target(record):
    asked = parameters(record)
    keys = ("firewallName", "firewallArn", "firewallRuleGroupAssociationId", "resourceId")
    return next((str(asked[key]) for key in keys if asked.get(key)), "an unknown firewall")
