"""Made-up rules over the made-up events: understood ones, of which any number differ, and opaque ones."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.events import RARE
from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import TRUE
from trapline.detection.inference.reads import reads_of

_ALERT = """

def title(record):
    return f"{record.deepget('user.name')} did {record.deepget('event.action')}"


def dedupe(record):
    return record.deepget("user.name")
"""

FEW = f"""\
def detect(record):
    return (
        record.deepget("event.action") == "ConsoleLogin"
        and record.deepget("aws.cloudtrail.user_identity.type") == "Root"
    )
{_ALERT}"""
"""Matches a few dozen records in a million."""

TWO_FIELDS = f"""\
def detect(record):
    return (
        record.deepget("event.action") != "AssumeRole"
        and record.deepget("aws.cloudtrail.user_identity.type") == "Root"
    )
{_ALERT}"""
"""Matches 7 records in ten thousand."""

OPAQUE = f"""\
from operator import eq


def detect(record):
    action = record.deepget("event.action")
    who = record.deepget("aws.cloudtrail.user_identity.type")
    return eq(who, "Root") and action != "AssumeRole"
{_ALERT}"""
"""The same, but what `eq` does is not followed: nothing is known of it but the two columns."""

WHOLE = f"""\
def detect(record):
    whole = record.to_dict()
    return (
        whole["event"]["action"] != "AssumeRole"
        and whole["aws"]["cloudtrail"]["user_identity"]["type"] == "Root"
    )
{_ALERT}"""
"""The same, but it makes a dict of every record."""

_SHAPES = (
    """\
def detect(record):
    if record.deepget("event.outcome") == "failure":
        return False
    return record.deepget("event.action") == "{action}" and record.deepget("user.name") != "{user}"
""",
    """\
def detect(record):
    if record.deepget("event.provider") != "{provider}":
        return False
    if record.deepget("event.action") not in ("{action}", "{other}"):
        return False
    return record.deepget("error.code") == "AccessDenied" and record.deepget("user.name") != "{user}"
""",
    """\
ACTIONS = {{"{action}", "{other}"}}


def detect(record):
    agent = record.deepget("user_agent.original", "").lower()
    if agent.startswith("terraform") or record.deepget("user.name") == "{user}":
        return False
    return record.deepget("event.action") in ACTIONS and record.deepget("cloud.region") == "{region}"
""",
    """\
def by_person(record):
    return record.deepget("aws.cloudtrail.user_identity.type") in ("IAMUser", "Root")


def detect(record):
    if not by_person(record) or record.deepget("aws.cloudtrail.read_only"):
        return False
    return record.deepget("event.action") == "{action}" and not record.deepget("source.ip", "").startswith("{net}")
""",
    """\
import re


def detect(record):
    if record.deepget("event.action") != "{action}":
        return False
    return bool(re.search("^(Mozilla|Terraform)", record.deepget("user_agent.original", ""))) and (
        record.deepget("user.name", "").endswith("{digit}")
    )
""",
    """\
def detect(record):
    identity = record.deepget("aws.cloudtrail.user_identity.type")
    if identity == "AWSService" or record.deepget("error.code"):
        return False
    action = record.deepget("event.action", "")
    return any(action == name for name in ("{action}", "{other}")) and record.deepget("user.name") == "{user}"
""",
)

_OPAQUE_SHAPE = """\
from operator import eq


def detect(record):
    return eq(record.deepget("event.action"), "{action}") and record.deepget("user.name") != "{user}"
"""


def understood(count: int) -> list[str]:
    """So many rules, no two of them alike, each with a few dozen matches in a million records at most."""
    return [_rule(_SHAPES[(number + number // len(RARE)) % len(_SHAPES)], number) for number in range(count)]


def opaque(count: int) -> list[str]:
    """So many rules of two fields, no two of them alike, of which nothing else is known."""
    return [_rule(_OPAQUE_SHAPE, number) for number in range(count)]


def _rule(shape: str, number: int) -> str:
    provider, action = RARE[number % len(RARE)].split()
    values = {
        "provider": provider,
        "action": action,
        "other": RARE[(number * 7 + 1) % len(RARE)].split()[1],
        "user": f"user-{number % 500}",
        "region": ("us-east-1", "eu-central-1")[number % 2],
        "net": f"192.0.2.{number // len(RARE)}",
        "digit": str(number // len(RARE)),
    }
    return f'"""Rule number {number}."""\n\n' + shape.format(**values) + _ALERT


def check_understood(sources: Sequence[str]) -> None:
    """That inference knows of each when it cannot match."""
    assert all(infer(source).predicate != TRUE for source in sources)


def check_opaque(source: str, *, columns: int | None) -> None:
    """That inference knows nothing of a rule, but how many columns it reads; None for all."""
    reads = reads_of(source)
    assert infer(source).predicate == TRUE
    assert (None if reads is None else len(reads)) == columns
