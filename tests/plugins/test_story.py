"""The story of an alert: what an analyst asks first, and nothing that an attacker could do with it."""

import re
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline_plugins.api import Kind
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification
from trapline_plugins.story import Fact, Story, change, defang, span, tell

# What the mail programs, chats and web pages that show alerts turn into links.
LINKED = re.compile(r"(?i)\b(?:[a-z][a-z0-9+.-]*://|(?:javascript|mailto|data):\S|www\.\w)")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def texts(story: Story) -> list[str]:
    facts = (*story.facts, *story.evidence, *story.origin)
    return [
        story.headline,
        story.subject,
        *story.description.split("\n"),
        *story.runbook.split("\n"),
        *story.false_positives,
        *(part for fact in facts for part in (fact.label, fact.text)),
    ]


def test_what_an_analyst_asks_first() -> None:
    story = tell(a_notification(attack=("ta0006:t1110",), false_positives=("Penetration tests.",)))
    assert story == Story(
        word="HIGH",
        title="Brute force from 203.0.113.9",
        subject="203.0.113.9",
        facts=(
            Fact("About", "203.0.113.9"),
            Fact("Matches", "5"),
            Fact("Seen", "2030-01-02 02:54:05 to 03:03:05 UTC"),
            Fact("Severity", "high"),
            Fact("Status", "opened"),
            Fact("Detection", "login_brute_force_by_ip"),
            Fact("ATT&CK", "TA0006:T1110"),
            Fact("Tags", "brute_force"),
        ),
        evidence=(Fact("user.name", "root"),),
        description="Failed logins exceeded the threshold.",
        runbook="1. Look for a login that succeeded.\n2. Block the address.",
        false_positives=("Penetration tests.",),
        references=("https://attack.mitre.org/techniques/T1110/",),
        origin=(
            Fact("Alert", "a1b2c3"),
            Fact("Table", "aws_cloudtrail, 2030-01-02 02:49:05 to 03:04:05 UTC"),
            Fact("Revision", "0123456789abcdef0123456789abcdef01234567"),
            Fact("Replay", "trapline alerts replay a1b2c3"),
        ),
    )


def test_an_alert_that_is_over_says_so() -> None:
    story = tell(NOTIFICATIONS["resolved"])
    assert story.headline == "RESOLVED: Brute force from 203.0.113.9"
    assert Fact("Severity", "high") in story.facts


def test_without_a_context_the_first_record_is_the_evidence() -> None:
    assert tell(a_notification(context={})).evidence == (
        Fact("event.action", "ConsoleLogin"),
        Fact("source.ip", "203.0.113.9"),
    )


@pytest.mark.parametrize(
    ("context", "shown"),
    [
        ({"mfa": False, "port": 22, "none": None, "empty": ""}, [("mfa", "false"), ("port", "22")]),
        ({"users": ["ann", "bob"]}, [("users", "ann, bob")]),
        ({"hits": [{"ip": "203.0.113.9"}, "x"]}, [("hits.0.ip", "203.0.113.9"), ("hits.1", "x")]),
        ({"ips": ["i"] * 11}, [("ips", ", ".join(["i"] * 10) + ", …")]),
        ({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, [("a.b.c.d.e", "…")]),
        ({"line": "one\ntwo\x1b[2J"}, [("line", "one two")]),
    ],
)
def test_evidence_is_named_by_its_path(context: dict[str, Any], shown: list[tuple[str, str]]) -> None:
    assert tell(a_notification(context=context)).evidence == tuple(Fact(*pair) for pair in shown)


def test_a_long_context_says_that_there_is_more() -> None:
    evidence = tell(a_notification(context={f"field{number}": number for number in range(1000)})).evidence
    assert len(evidence) == 20
    assert evidence[-1] == Fact("…", "more fields")


def test_a_dedupe_that_repeats_the_title_is_not_shown() -> None:
    story = tell(a_notification(dedupe="Brute force from 203.0.113.9"))
    assert "About" not in [fact.label for fact in story.facts]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://evil.example/a.b?c=d.e", "see hxxp[:]//evil[.]example/a.b?c=d.e"),
        ("HTTPS://Evil.Example", "hxxpS[:]//Evil[.]Example"),
        ("ftp://a.b and slack://x", "ftp[:]//a[.]b and slack[:]//x"),
        ("javascript:alert(1) mailto:a@b.example", "javascript[:]alert(1) mailto[:]a@b.example"),
        ("www.evil.example", "www[.]evil.example"),
        (
            "user.name is 203.0.113.9, ratio 3:4, awww. data: none",
            "user.name is 203.0.113.9, ratio 3:4, awww. data: none",
        ),
    ],
)
def test_defang(text: str, shown: str) -> None:
    assert defang(text) == shown


@given(st.text() | st.from_regex(LINKED))
def test_nothing_that_is_linked_is_left(text: str) -> None:
    assert not LINKED.search(defang(text))


@given(values, st.text())
def test_no_text_of_a_story_can_do_harm(value: Any, text: str) -> None:
    notification = a_notification(
        title=text, dedupe=text, runbook=text, tags=(text,), references=(text,), context={"x": value, text: value}
    )
    for shown in texts(tell(notification)):
        assert not LINKED.search(shown)
        assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in shown)


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_every_story_is_bounded(case: str) -> None:
    story = tell(NOTIFICATIONS[case])
    assert sum(map(len, texts(story))) < 60_000
    assert story.title


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://wiki.example/runbook?id=7#top", True),
        ("http://localhost:8080/", True),
        ("javascript:alert(1)", False),
        ("https://good.example@evil.example/", False),
        ("https://wiki.example/ <!channel>", False),
        ("https://wiki.example/|click", False),
        ("https://[::1", False),
        ("https://:80", False),
        ("T1110", False),
        ("https://wiki.example/" + "x" * 500, False),
    ],
)
def test_only_whole_web_addresses_are_references(address: str, kept: bool) -> None:
    assert tell(a_notification(references=(address,))).references == ((address,) if kept else ())


def test_a_span_of_one_moment_is_that_moment() -> None:
    assert span(NOW, NOW) == "2030-01-02 03:04:05 UTC"


def test_a_span_says_the_day_once_where_it_is_the_same() -> None:
    assert span(NOW, NOW + timedelta(hours=1)) == "2030-01-02 03:04:05 to 04:04:05 UTC"
    assert span(NOW, NOW + timedelta(days=1)) == "2030-01-02 03:04:05 to 2030-01-03 03:04:05 UTC"


def test_what_changed_is_said_on_one_line() -> None:
    updated = a_notification(kind=Kind.UPDATED, match_count=1)
    assert change(updated) == "1 match, 2030-01-02 02:54:05 to 03:03:05 UTC, severity high"
    assert Fact("Status", "updated") in tell(updated).facts


def test_a_text_begins_with_its_first_words() -> None:
    assert tell(a_notification(runbook="\n \n1. Look.\n\n2. Block.\n")).runbook == "1. Look.\n\n2. Block."


def test_who_resolved_it_is_a_fact() -> None:
    resolved = a_notification(kind=Kind.RESOLVED, resolution="ann: see http://evil.example/\n")
    assert Fact("Resolved", "ann: see hxxp[:]//evil[.]example/") in tell(resolved).facts


def test_a_runbook_with_queries_arrives_whole() -> None:
    query = (
        "   ```\n"
        + "\n".join(f"   SELECT column_{n} FROM aws_cloudtrail WHERE number = {n}" for n in range(25))
        + "\n   ```"
    )
    runbook = f"1. Look:\n{query}\n2. Ask the owner:\n{query}\n3. End the session."
    assert tell(a_notification(runbook=runbook)).runbook == runbook
