"""The Atlassian Document Format: whatever a log says, Jira takes the document and shows it as text."""

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline_plugins.adf import alert_document, change_document, has_text
from trapline_plugins.api import Kind
from trapline_plugins.fakes.adf_rules import wrong_document
from trapline_plugins.samples import NOTIFICATIONS, a_notification

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("content", []):
        yield from nodes(child)


@settings(max_examples=50)
@given(st.text(), st.lists(st.text(), max_size=3).map(tuple), values)
def test_no_text_is_more_than_text(text: str, texts: tuple[str, ...], value: Any) -> None:
    everywhere = dict.fromkeys(("title", "dedupe", "detection", "description", "runbook", "resolution"), text)
    lists = dict.fromkeys(("references", "false_positives", "attack", "tags"), texts)
    notification = a_notification(**everywhere, **lists, context={text: value})
    for document in (alert_document(notification), change_document(notification, text.strip())):
        assert wrong_document(document) == ""
        for node in nodes(document):
            assert node["type"] not in ("mention", "emoji", "inlineCard")
            links = [mark["attrs"]["href"] for mark in node.get("marks", []) if mark["type"] == "link"]
            assert set(links) <= set(texts)


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_nothing_of_it_is_hidden_or_out_of_order(case: str) -> None:
    for node in nodes(alert_document(NOTIFICATIONS[case])):
        shown = node.get("text", "")
        assert not any(unicodedata.category(c) in ("Cc", "Cs") or c in "\u202e\u2066" for c in shown)


@pytest.mark.parametrize(
    ("severity", "colour", "panel"),
    [
        ("critical", "red", "error"),
        ("medium", "yellow", "warning"),
        ("low", "blue", "info"),
        ("info", "neutral", "info"),
    ],
)
def test_how_bad_it_is_is_seen_by_its_colour(severity: str, colour: str, panel: str) -> None:
    first, *_ = alert_document(a_notification(severity=severity))["content"]
    lozenge = first["content"][0]["content"][0]
    assert first["attrs"] == {"panelType": panel}
    assert lozenge == {"type": "status", "attrs": {"text": severity.upper(), "color": colour}}


def test_that_it_is_over_is_green() -> None:
    first, *_ = alert_document(a_notification(kind=Kind.RESOLVED))["content"]
    assert first["attrs"] == {"panelType": "success"}


@pytest.mark.parametrize(
    ("node", "has"),
    [
        (
            {"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Delivery 1"}]}]},
            True,
        ),
        (
            {"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Delivery 12"}]}]},
            False,
        ),
        ({"type": "text", "text": ["Delivery 1"]}, False),
        (None, False),
        ("Delivery 1", False),
        ([[{"text": "Delivery 1"}]], True),
    ],
)
def test_a_text_is_found_in_whatever_jira_gives_back(node: Any, has: bool) -> None:
    assert has_text(node, "Delivery 1") is has
