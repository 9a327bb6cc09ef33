import re
from collections import defaultdict

from lib.cloudtrail import account, by_aws, listed, origin, session, who

TOOLS = (
    ("Stratus Red Team", "high", re.compile(r"stratus-red-team")),
    ("Pacu", "high", re.compile(r"(?<![a-z])pacu(?![a-z])")),
    ("CloudFox", "high", re.compile(r"cloudfox")),
    ("TruffleHog", "high", re.compile(r"trufflehog")),
    ("Kali Linux", "high", re.compile(r"(?<![a-z])kali(?![a-z])")),
    ("Parrot OS", "high", re.compile(r"(?<![a-z])parrot(?![a-z])")),
    ("Pentoo", "high", re.compile(r"(?<![a-z])pentoo(?![a-z])")),
    ("Scout Suite", "low", re.compile(r"scout ?suite")),
    ("Prowler", "low", re.compile(r"(?<![a-z])prowler(?![a-z])|apn_1826889")),
)


def detect(records):
    """Yields a match for each principal and tool: the first call, and which actions there were."""
    calls = defaultdict(list)
    for record in sorted(records, key=lambda record: record["ts"]):
        agent = (record.deepget("user_agent.original") or "").lower()
        for name, severity, pattern in TOOLS:
            if pattern.search(agent) and not by_aws(record):
                calls[session(record), name, severity].append(record)
    for (actor, name, severity), own in calls.items():
        first = own[0]
        actions = sorted({action for record in own if (action := record.deepget("event.action"))})
        yield {
            "record": first,
            "title": f"{who(first)} used {name} in {account(first)}: {listed(actions) or 'unknown calls'}",
            "dedupe": f"{name} by {actor}",
            "severity": severity,
            "tool": name,
            "actions": actions[:100],
            **origin(first),
        }
