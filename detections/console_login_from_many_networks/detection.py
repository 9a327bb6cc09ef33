from collections import defaultdict

from lib.cloudtrail import account, origin, session, who
from lib.networks import by_network

NETWORKS = 3


def detect(records):
    """Yields a match for each person that logged in from many networks: the login from the last new one."""
    logins = defaultdict(list)
    for record in sorted(filter(is_login, records), key=lambda record: record["ts"]):
        logins[session(record)].append(record)
    for person, own in logins.items():
        networks = by_network(own)
        if len(networks) >= NETWORKS:
            last = max((found[0] for found in networks.values()), key=lambda record: record["ts"])
            yield {
                "record": last,
                "title": f"{who(last)} logged in to the console of {account(last)} from {len(networks)} networks",
                "dedupe": person,
                "networks": sorted(networks),
                **origin(last),
            }


def is_login(record):
    return (
        record.deepget("event.provider") == "signin.amazonaws.com"
        and record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("event.outcome") == "success"
    )
