"""An alert as a letter: a subject, a plain text, and the same in HTML for clients that show it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from trapline_plugins.api import Kind, Notification
from trapline_plugins.story import Fact, Story, tell
from trapline_plugins.text import cut

_MAX_SUBJECT = 200
_COLOURS = {
    "CRITICAL": "#b00020",
    "HIGH": "#d9480f",
    "MEDIUM": "#b8860b",
    "LOW": "#1971c2",
    "NOTICE": "#1971c2",
    "INFO": "#5f6368",
    "RESOLVED": "#2b8a3e",
}

Content = tuple[Fact, ...] | tuple[str, ...] | str
"""What stands below a heading."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a letter says."""

    subject: str
    text: str
    html: str


def write_letter(notification: Notification) -> Letter:
    """The letter about a notification, at most about 100,000 characters of each form."""
    story = tell(notification)
    changed = "updated: " if notification.kind is Kind.UPDATED else ""
    return Letter(cut(f"[{story.word}] {changed}{story.title}", _MAX_SUBJECT), _text(story), _html(story))


def _sections(story: Story) -> Iterator[tuple[str, Content]]:
    """What an analyst asks, in that order; what there is nothing to say about is left out."""
    sections: tuple[tuple[str, Content], ...] = (
        ("What happened", story.facts),
        ("Evidence", story.evidence),
        ("Why it fired", story.description),
        ("What to do", story.runbook),
        ("It may be a false alarm", story.false_positives),
        ("References", story.references),
        ("Where it comes from", story.origin),
    )
    return (section for section in sections if section[1])


def _text(story: Story) -> str:
    parts = [story.headline]
    for heading, content in _sections(story):
        parts.append("\n".join([heading, *(f"  {line}" for line in _lines(content))]))
    return "\n\n".join(parts) + "\n"


def _lines(content: Content) -> Iterator[str]:
    if isinstance(content, str):
        yield from content.split("\n")
        return
    for item in content:
        yield f"{item.label}: {item.text}" if isinstance(item, Fact) else f"- {item}"


def _html(story: Story) -> str:
    colour = _COLOURS[story.word]
    parts = [
        "<!DOCTYPE html><html><body style='font:14px sans-serif;max-width:50em'>",
        f"<h2 style='margin:0'><span style='color:{colour}'>{story.word}</span> {escape(story.title)}</h2>",
    ]
    for heading, content in _sections(story):
        parts.append(f"<h3 style='margin:1.2em 0 .3em'>{heading}</h3>{_block(heading, content)}")
    return "\n".join([*parts, "</body></html>\n"])


def _block(heading: str, content: Content) -> str:
    if isinstance(content, str):
        return "<p style='margin:0'>" + escape(content).replace("\n", "<br>\n") + "</p>"
    items = []
    for item in content:
        if isinstance(item, Fact):
            items.append(f"<b>{escape(item.label)}</b>: {escape(item.text)}")
        elif heading == "References":
            items.append(f"<a href='{escape(item)}'>{escape(item)}</a>")
        else:
            items.append(escape(item))
    return "<ul style='margin:0;padding-left:1.2em'>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
