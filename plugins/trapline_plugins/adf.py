"""An alert in the Atlassian Document Format, which Jira shows. Pure.

What attackers may have written stands in `text` nodes, in which Jira reads no markup, mentions or links. Nodes and
marks are those of the format's documentation for Jira Cloud.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from trapline_plugins.api import Kind, Notification
from trapline_plugins.story import Fact, Story, change, moment, resolved_by, tell
from trapline_plugins.text import cut, one_line, utf16_length

MAX_DOCUMENT = 32_767
"""The most characters of a description or comment. Atlassian does not say of what: the text, or what it is stored as.
The document's JSON is the longest of these, so that is what is counted, in UTF-16 units as Java counts."""

_LONGEST_SECTION = 8_192
_LONGEST_COMMAND = 4_000
_COLOURS = {
    "CRITICAL": ("red", "error"),
    "HIGH": ("red", "error"),
    "MEDIUM": ("yellow", "warning"),
    "LOW": ("blue", "info"),
    "NOTICE": ("blue", "info"),
    "INFO": ("neutral", "info"),
    "RESOLVED": ("green", "success"),
}

Node = dict[str, Any]


def alert_document(notification: Notification) -> Node:
    """The alert, for an issue's description: what happened to whom first, where it comes from last."""
    story = tell(notification)
    as_of = f"As of {moment(notification.at)}. What changed since is told in the comments."
    longest = _LONGEST_SECTION
    document = _document(_alert(story, as_of, longest))
    while size(document) > MAX_DOCUMENT:  # the nodes alone are far below the limit, so this ends
        longest //= 2
        document = _document(_alert(story, as_of, longest))
    return document


def change_document(notification: Notification, note: str = "") -> Node:
    """What changed, for a comment. It ends with the delivery's id, by which it is found again."""
    n = notification
    word = "RESOLVED" if n.kind is Kind.RESOLVED else "UPDATED"
    colour = _COLOURS.get(word, _COLOURS[n.severity.upper()])[0]
    return _document(
        [
            _paragraph(_status(word, colour), *_text(f" {change(n)}")),
            *(_paragraph(*_text(text)) for text in (resolved_by(n), note) if text),
            _paragraph(*_text(delivery_marker(n), "em")),
        ]
    )


def delivery_marker(notification: Notification) -> str:
    """The text in a comment that is in no other one."""
    return f"Delivery {one_line(notification.delivery_id, 200)}"


def has_text(node: Any, text: str) -> bool:
    """Whether a document, as Jira gives it back, has this text in one of its text nodes."""
    if isinstance(node, list):
        return any(has_text(item, text) for item in node)
    return isinstance(node, dict) and (node.get("text") == text or has_text(node.get("content"), text))


def size(document: Node) -> int:
    """The document's length, as strictly as it can be meant."""
    return utf16_length(json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def _alert(story: Story, as_of: str, longest: int) -> Iterator[Node]:
    colour, panel = _COLOURS[story.word]
    title = _paragraph(_status(story.word, colour), *_text(f" {cut(story.title, longest)}", "strong"))
    yield {"type": "panel", "attrs": {"panelType": panel}, "content": [title, _paragraph(*_text(as_of, "em"))]}
    # The alert's status is told by that of the issue.
    yield _table([fact for fact in story.facts if fact.label != "Status"], longest)
    if story.evidence:
        yield _heading("Evidence")
        yield _table(story.evidence, longest, "code")
    yield from _section("Why it fired", story.description, longest)
    yield from _section("What to do", story.runbook, longest)
    yield from _list("It may be a false alarm", [_text(cut(item, longest)) for item in story.false_positives])
    yield from _list("References", [[_link(address)] for address in story.references])
    *origin, replay = story.origin
    yield _heading("Where it comes from")
    yield _table(origin, longest)
    command = _text(cut(replay.text, _LONGEST_COMMAND))
    yield {"type": "codeBlock", "attrs": {"language": "shell"}, "content": command}


def _document(blocks: Iterator[Node] | Sequence[Node]) -> Node:
    return {"version": 1, "type": "doc", "content": list(blocks)}


def _section(heading: str, text: str, longest: int) -> Iterator[Node]:
    if text:
        yield _heading(heading)
        yield _paragraph(*_lines(cut(text, longest)))


def _list(heading: str, items: Sequence[list[Node]]) -> Iterator[Node]:
    if items:
        yield _heading(heading)
        yield {
            "type": "bulletList",
            "content": [{"type": "listItem", "content": [_paragraph(*item)]} for item in items],
        }


def _table(facts: Sequence[Fact], longest: int, *marks: str) -> Node:
    rows = [
        {
            "type": "tableRow",
            "content": [
                {"type": "tableHeader", "content": [_paragraph(*_text(cut(fact.label, longest)))]},
                {"type": "tableCell", "content": [_paragraph(*_text(cut(fact.text, longest), *marks))]},
            ],
        }
        for fact in facts
    ]
    return {"type": "table", "content": rows}


def _heading(text: str) -> Node:
    return {"type": "heading", "attrs": {"level": 3}, "content": _text(text)}


def _paragraph(*content: Node) -> Node:
    return {"type": "paragraph", "content": list(content)}


def _lines(text: str) -> Iterator[Node]:
    for number, line in enumerate(text.split("\n")):
        if number:
            yield {"type": "hardBreak"}
        yield from _text(line)


def _text(text: str, *marks: str) -> list[Node]:
    """A text node; none where there is no text, for Jira refuses an empty one."""
    node: Node = {"type": "text", "text": text}
    if marks:
        node["marks"] = [{"type": mark} for mark in marks]
    return [node] if text else []


def _link(address: str) -> Node:
    return {"type": "text", "text": address, "marks": [{"type": "link", "attrs": {"href": address}}]}


def _status(word: str, colour: str) -> Node:
    return {"type": "status", "attrs": {"text": word, "color": colour}}
