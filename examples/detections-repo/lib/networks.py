"""Where our own people are."""

from trapline_sandbox.helpers import ip_in_network

OFFICES = ("192.0.2.0/25", "2001:db8:0:1::/64")


def is_office(address):
    return ip_in_network(address, *OFFICES)
