"""What belongs to you. In your own repository, fill this in: rules that ask for strangers then know your own."""

from trapline_sandbox.helpers import ip_in_network

ACCOUNTS = ()
"""Ids of AWS accounts that are yours or that you trust, such as `"111122223333"`, beside the one an event is from."""

NETWORKS = ()
"""Networks that your people and machines come from, such as `"192.0.2.0/24"`."""

REGIONS = ()
"""The regions that you use, such as `"eu-central-1"`. While it is empty, no region is unusual."""


def is_own_account(account, record):
    """Whether an account id is the one of the record, or one of `ACCOUNTS`."""
    return account == record.deepget("cloud.account.id") or account in ACCOUNTS


def outsiders(names, record):
    """Whom something is shared with that is not yours, sorted: account ids, and `all`, which is everybody, last."""
    return sorted({name for name in names if isinstance(name, str) and name and not is_own_account(name, record)})


def is_own_network(address):
    return bool(NETWORKS) and ip_in_network(address, *NETWORKS)


def is_foreign_network(address):
    """Whether an address is outside of `NETWORKS`. While that is empty, none is."""
    return bool(NETWORKS) and address is not None and not ip_in_network(address, *NETWORKS)


def is_unused_region(region):
    return bool(REGIONS) and region is not None and region not in REGIONS
