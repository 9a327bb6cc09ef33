from lib.cloudtrail import account, by_aws, ec2_parameters, origin, region, succeeded, who

ACTIONS = ("CreateNetworkAclEntry", "ReplaceNetworkAclEntry")
ANYWHERE = ("0.0.0.0/0", "::/0")
ALL_PROTOCOLS = "-1"
PORTS = 65536


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_aws(record)
        and opens(ec2_parameters(record))
    )


def title(record):
    return f"{who(record)} let any address in by the network ACL {acl(record)} in {account(record)}, {region(record)}"


def dedupe(record):
    return f"{acl(record)} in {account(record)}"


def alert_context(record):
    asked = ec2_parameters(record)
    return {"network_acl": acl(record), "rule": asked.get("ruleNumber"), "parameters": asked, **origin(record)}


def opens(asked):
    """Whether an entry allows everybody in on all ports."""
    anywhere = asked.get("cidrBlock") in ANYWHERE or asked.get("ipv6CidrBlock") in ANYWHERE
    return (
        asked.get("ruleAction") == "allow" and asked.get("egress") in (False, "false") and anywhere and all_ports(asked)
    )


def all_ports(asked):
    if str(asked.get("aclProtocol", asked.get("protocol"))) == ALL_PROTOCOLS:
        return True
    ports = asked.get("portRange")
    first, last = (ports.get("from"), ports.get("to")) if isinstance(ports, dict) else (None, None)
    return isinstance(first, int) and isinstance(last, int) and last - first >= PORTS - 2


def acl(record):
    return ec2_parameters(record).get("networkAclId") or "of unknown name"
