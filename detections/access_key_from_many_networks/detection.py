from collections import defaultdict

from lib.cloudtrail import account, by_aws, origin, who
from lib.networks import by_network

NETWORKS = 4


def detect(records):
    """Yields a match for each long-term key that was used from many networks: the first call from the last new one."""
    calls = defaultdict(list)
    for record in sorted(records, key=lambda record: record["ts"]):
        key = record.deepget("aws.cloudtrail.user_identity.access_key_id")
        if key is not None and key.startswith("AKIA") and not by_aws(record):
            calls[key].append(record)
    for key, own in calls.items():
        networks = by_network(own)
        if len(networks) >= NETWORKS:
            last = max((found[0] for found in networks.values()), key=lambda record: record["ts"])
            yield {
                "record": last,
                "title": f"Access key {key} of {who(last)} in {account(last)} was used from {len(networks)} networks",
                "dedupe": key,
                "networks": sorted(networks)[:50],
                "user_agents": sorted({text for record in own if (text := record.deepget("user_agent.original"))})[:20],
                **origin(last),
            }
