"""From how many places something comes."""

import ipaddress
from collections import defaultdict

from lib.organization import is_own_network


def network(address):
    """The /24 around an address, or the /48 of IPv6, as text: what one site has. None for what is no address."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return None
    return str(ipaddress.ip_network((address, 24 if version == 4 else 48), strict=False))


def by_network(records):
    """The records of each network that is not one's own, by network, in the records' order.

    Without an address, or from within a VPC through an endpoint, a record says nothing of a network and is left out.
    """
    found = defaultdict(list)
    for record in records:
        address = record.deepget("source.ip")
        if record.deepget("aws.cloudtrail.vpc_endpoint_id") is None and not is_own_network(address):
            found[network(address)].append(record)
    found.pop(None, None)
    return dict(found)
