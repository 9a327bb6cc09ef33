import ipaddress

from lib.cloudtrail import account, items, listed, origin, parameters, region, succeeded, who

PORTS = {
    22: "SSH",
    23: "Telnet",
    135: "RPC",
    445: "SMB",
    1433: "SQL Server",
    1521: "Oracle",
    2375: "Docker",
    2379: "etcd",
    3306: "MySQL",
    3389: "RDP",
    5432: "PostgreSQL",
    5900: "VNC",
    5985: "WinRM",
    5986: "WinRM",
    6379: "Redis",
    6443: "Kubernetes",
    9200: "Elasticsearch",
    10250: "kubelet",
    11211: "memcached",
    27017: "MongoDB",
}
WIDE = 8
"""A network with a shorter prefix is the internet, or a half of it: nobody has that many addresses."""
ACTIONS = ("AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules")


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and bool(opened(record))
    )


def title(record):
    return f"{who(record)} opened {listed(opened(record))} of security group {group(record)} to the internet"


def dedupe(record):
    return f"{group(record)} in {account(record)}, {region(record)}"


def severity(record):
    return "high" if "every port" in opened(record) else "medium"


def alert_context(record):
    return {"security_group": group(record), "opened": opened(record), **origin(record)}


def opened(record):
    """What a stranger can now reach, by name: sorted, without those that the public may be meant to use."""
    names = set()
    for protocol, first, last, networks in rules(record):
        if not any(is_internet(network) for network in networks):
            continue
        if protocol in ("-1", "all") or (protocol in ("tcp", "6") and (first, last) in ((0, 65535), (1, 65535))):
            names.add("every port")
        elif protocol in ("tcp", "6") and isinstance(first, int) and isinstance(last, int):
            names.update(f"{name} ({port})" for port, name in PORTS.items() if first <= port <= last)
    return sorted(names)


def rules(record):
    """Each rule asked for, as protocol, first port, last port and networks, in any of the three shapes of the API."""
    asked = parameters(record)
    for rule in [asked, *dictionaries(asked.get("ipPermissions"))]:
        networks = [rule.get("cidrIp")]
        networks += [entry.get("cidrIp") for entry in dictionaries(rule.get("ipRanges"))]
        networks += [entry.get("cidrIpv6") for entry in dictionaries(rule.get("ipv6Ranges"))]
        yield str(rule.get("ipProtocol")).lower(), rule.get("fromPort"), rule.get("toPort"), networks
    changes = asked.get("ModifySecurityGroupRulesRequest")
    for change in dictionaries(changes.get("SecurityGroupRule") if isinstance(changes, dict) else None):
        for rule in dictionaries(change.get("SecurityGroupRule")):
            networks = [rule.get("CidrIpv4"), rule.get("CidrIpv6")]
            yield str(rule.get("IpProtocol")).lower(), rule.get("FromPort"), rule.get("ToPort"), networks


def is_internet(network):
    try:
        return ipaddress.ip_network(network, strict=False).prefixlen < WIDE
    except ValueError:
        return False


def group(record):
    asked = parameters(record)
    changes = asked.get("ModifySecurityGroupRulesRequest")
    changed = changes.get("GroupId") if isinstance(changes, dict) else None
    return asked.get("groupId") or asked.get("groupName") or changed or "of an unknown id"


def dictionaries(value):
    return [entry for entry in items(value) if isinstance(entry, dict)]
