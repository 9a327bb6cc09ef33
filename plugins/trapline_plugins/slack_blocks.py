"""An alert as Slack's Block Kit shows it. Pure; every text is inside Slack's limits, and none can mention or link.

What attackers may have written stands in `plain_text`, or in a code span: there Slack reads no formatting, and `<`,
`>` and `&` are escaped. Lengths are counted as Slack may count them at worst: escaped, in UTF-16 units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trapline_plugins.api import Kind, Notification
from trapline_plugins.story import Fact, Story, change, resolved_by, tell
from trapline_plugins.text import cut_utf16, utf16_length

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3000
MAX_FIELD = 2000
MAX_FIELDS = 10
MAX_ELEMENTS = 10

_MARKS = {"critical": "🟣", "high": "🔴", "medium": "🟠", "low": "🟡", "notice": "🔵", "info": "⚪"}
_OVER = "✅"
_OURS = frozenset({"Matches", "Seen", "Severity", "Status"})  # no rule and no log has a say in these
_LONGEST_LINE = 700  # of evidence: four lines fill a section at worst

Block = dict[str, Any]


def alert_message(notification: Notification) -> dict[str, Any]:
    """The alert as it stands: what is posted first, and what later takes its place."""
    story = tell(notification)
    headline = f"{_mark(notification)} {story.headline}"
    blocks = [
        *_headline(headline),
        {"type": "section", "fields": [_fact(fact) for fact in story.facts[:MAX_FIELDS]]},
        *_evidence(story.evidence),
        *_labelled("Why", story.description),
        *_labelled("Runbook", story.runbook),
        *_labelled("False positives", "\n".join(story.false_positives)),
        *_references(story),
        *_origin(story.origin),
    ]
    return {"text": escaped(headline, MAX_SECTION), "blocks": blocks}


def change_message(notification: Notification) -> dict[str, Any]:
    """The reply in the alert's thread that says what changed."""
    n = notification
    what = "Resolved" if n.kind is Kind.RESOLVED else "Updated"
    text = f"{_mark(n)} *{what}*: {change(n)}"
    if resolution := resolved_by(n):
        text += f"\n{_code(resolution, MAX_FIELD)}"
    return {"text": text, "blocks": [{"type": "section", "text": _mrkdwn(text)}]}


def escaped(text: str, limit: int) -> str:
    """The text without a meaning to Slack's parser, at most `limit` long."""
    shown = _escape(text)
    return (
        shown if utf16_length(shown) <= limit else _escape(cut_utf16(text, limit // 5))
    )  # no character grows beyond five


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mark(notification: Notification) -> str:
    return _OVER if notification.kind is Kind.RESOLVED else _MARKS[notification.severity]


def _plain(text: str, limit: int = MAX_SECTION) -> Block:
    return {"type": "plain_text", "text": cut_utf16(text, limit), "emoji": False}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _code(text: str, limit: int) -> str:
    """A code span, which a backtick would end."""
    return f"`{escaped(text.replace('`', 'ˋ'), limit - 2)}`"


def _headline(text: str) -> Iterator[Block]:
    header = _plain(text, MAX_HEADER)
    yield {"type": "header", "text": header}
    if header["text"] != text:
        yield {"type": "section", "text": _plain(text)}


def _fact(fact: Fact) -> Block:
    label = _escape(fact.label)
    text = fact.text if fact.label in _OURS else _code(fact.text, MAX_FIELD - len(label) - 3)
    return _mrkdwn(f"*{label}*\n{text}")


def _evidence(facts: Sequence[Fact]) -> Iterator[Block]:
    lines = ["*Evidence*"] if facts else []
    for fact in facts:
        line = f"{_code(fact.label, _LONGEST_LINE // 2)}  {_code(fact.text, _LONGEST_LINE // 2)}"
        if utf16_length("\n".join([*lines, line])) > MAX_SECTION:
            yield {"type": "section", "text": _mrkdwn("\n".join(lines))}
            lines = []
        lines.append(line)
    if lines:
        yield {"type": "section", "text": _mrkdwn("\n".join(lines))}


def _labelled(label: str, text: str) -> Iterator[Block]:
    if text:
        yield {"type": "section", "text": _mrkdwn(f"*{label}*")}
        yield {"type": "section", "text": _plain(text)}


def _references(story: Story) -> Iterator[Block]:
    label = "*References*\n"
    for address in story.references[:MAX_ELEMENTS]:
        yield {"type": "section", "text": _mrkdwn(f"{label}<{_escape(address)}>")}
        label = ""


def _origin(facts: Sequence[Fact]) -> Iterator[Block]:
    *said, replay = facts
    yield {"type": "divider"}
    elements = [_mrkdwn(f"{fact.label} {_code(fact.text, MAX_FIELD)}") for fact in said]
    yield {"type": "context", "elements": elements[:MAX_ELEMENTS]}
    yield {"type": "section", "text": _mrkdwn(f"*Replay*\n{_code(replay.text, MAX_SECTION - 10)}")}
