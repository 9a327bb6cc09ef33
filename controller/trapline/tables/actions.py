"""What kind of thing an AWS API call is, in ECS words: `event.category` and `event.type`, from its name."""

from __future__ import annotations

import re

_CATEGORIES = {
    "signin": ["authentication"],
    "sso": ["authentication"],
    "sts": ["authentication", "session"],
    "iam": ["iam"],
    "identitystore": ["iam"],
    "organizations": ["iam", "configuration"],
    "cloudtrail": ["configuration"],
    "config": ["configuration"],
    "guardduty": ["configuration", "threat"],
    "s3": ["file"],
    "rds": ["database"],
    "dynamodb": ["database"],
    "ec2": ["host"],
    "ssm": ["host"],
    "route53": ["network"],
    "elasticloadbalancing": ["network"],
}
_NETWORK = re.compile(r"Vpc|Subnet|Route|Gateway|SecurityGroup|NetworkAcl|NetworkInterface|FlowLogs|Address")
_VERBS = {
    "info": ("Get", "List", "Describe", "Head", "Lookup", "Search", "BatchGet"),
    "creation": ("Create", "Run", "Allocate", "Import", "Generate", "Register"),
    "deletion": ("Delete", "Remove", "Terminate", "Release", "Deregister", "Leave", "Schedule"),
    "start": ("ConsoleLogin", "AssumeRole", "AssumeRoot", "StartSession"),
    "change": (
        *(
            "Put",
            "Update",
            "Modify",
            "Set",
            "Add",
            "Attach",
            "Detach",
            "Associate",
            "Disassociate",
            "Enable",
            "Disable",
        ),
        *("Stop", "Start", "Tag", "Untag", "Authorize", "Revoke", "Change", "Replace", "Reset", "Restore"),
    ),
}
_USERS = re.compile(r"User|AccessKey|LoginProfile|MFADevice")
_GROUPS = re.compile(r"Group(?!s?Policy)")
_DENIED = re.compile(r"AccessDenied|Unauthorized|Forbidden")


def categories(provider: str, action: str) -> list[str]:
    """`event.category`: never empty, so that a rule may ask `"iam" in record["event"]["category"]`."""
    service = provider.split(".", 1)[0]
    if service == "ec2" and _NETWORK.search(action):
        return ["network"]
    return list(_CATEGORIES.get(service, ["api"]))


def types(provider: str, action: str, error_code: str | None) -> list[str]:
    """`event.type`: never empty; what the call does, whom it is about, and whether it was denied."""
    found = [next((kind for kind, verbs in _VERBS.items() if action.startswith(verbs)), "access")]
    if provider.startswith(("iam.", "identitystore.")):
        found += ["user"] if _USERS.search(action) else []
        found += ["group"] if _GROUPS.search(action) else []
    if error_code is not None:
        found.append("denied" if _DENIED.search(error_code) else "error")
    return found
