import re
from collections import defaultdict

from lib.cloudtrail import account, by_aws, origin
from lib.networks import by_network

SESSION = re.compile(r"arn:[^:]+:sts::[^:]*:assumed-role/[^/]+/(i-[0-9a-f]+)")


def detect(records):
    """Yields a match for each instance whose credentials were used from two networks: the first call from the second.

    IPv4 and IPv6 are counted apart: an instance may well have an address of each.
    """
    sessions = defaultdict(list)
    for record in sorted(records, key=lambda record: record["ts"]):
        session = record.deepget("aws.cloudtrail.user_identity.arn") or ""
        if (found := SESSION.fullmatch(session)) and not by_aws(record):
            sessions[session, found.group(1)].append(record)
    for (session, instance), calls in sessions.items():
        firsts = {place: found[0] for place, found in by_network(calls).items()}
        for places in ([place for place in firsts if ":" not in place], [place for place in firsts if ":" in place]):
            if len(places) > 1:
                here, there = (firsts[place] for place in places[:2])
                yield {
                    "record": there,
                    "title": f"Credentials of {instance} in {account(there)} were used from "
                    f"{here.deepget('source.ip')} and {there.deepget('source.ip')}",
                    "dedupe": session,
                    "instance": instance,
                    "networks": places[:50],
                    **origin(there),
                }
