"""An alert as an Adaptive Card, the only form of message that a Teams workflow takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from trapline_plugins.api import Notification
from trapline_plugins.story import Fact, Story, tell

Block = dict[str, Any]

MAX_BYTES = 20_000
"""Teams takes 28 KB, and does not say how it counts; this is counted with every character escaped."""

_STYLES = {"critical": "attention", "high": "attention", "medium": "warning", "low": "accent"}
_MOST_LINKS = 5


def message(notification: Notification) -> dict[str, Any]:
    """What is posted: a message with one card."""
    story = tell(notification)
    card: Block = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [],
        "actions": [
            {"type": "Action.OpenUrl", "title": urlsplit(address).hostname, "url": address}
            for address in story.references[:_MOST_LINKS]
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    posted = {"type": "message", "attachments": [attachment]}
    card["body"] = _fitting(_blocks(story, notification), MAX_BYTES - len(json.dumps(posted)))
    return posted


def _blocks(story: Story, notification: Notification) -> Iterator[Block]:
    """What an analyst asks, the most important first. Nobody can edit a card later: each says all there is."""
    over = story.word == "RESOLVED"
    style = "good" if over else _STYLES.get(notification.severity, "default")
    headline = _line(_run(story.headline, weight="Bolder", size="Large"))
    yield {"type": "Container", "style": style, "bleed": True, "items": [headline]}
    yield from _facts(story.facts)
    # Teams shows twice what is sent twice: by this a reader can tell a repeat.
    yield _line(_run(f"Delivery {notification.delivery_id}", isSubtle=True, size="Small"))
    for title, blocks in (
        ("Evidence", _facts(story.evidence)),
        ("Why", _lines(story.description)),
        ("Runbook", _lines(story.runbook)),
        ("False positives", _lines("\n".join(story.false_positives))),
        ("Origin", _facts(story.origin)),
    ):
        shown = list(blocks)
        if shown:
            yield _line(_run(title, weight="Bolder")) | {"separator": True, "spacing": "Medium"}
            yield from shown


def _fitting(blocks: Iterable[Block], room: int) -> list[Block]:
    """The blocks, without those for which there is no room any more."""
    cut = _line(_run("Shortened; `trapline alerts show` has all of it.", isSubtle=True))
    kept, left_out = [], False
    room -= _size(cut)
    for block in blocks:
        if _size(block) <= room:
            kept.append(block)
            room -= _size(block)
        else:
            left_out = True
    return [*kept, cut] if left_out else kept


def _size(block: Block) -> int:
    return len(json.dumps(block)) + len(", ")


def _facts(facts: Iterable[Fact]) -> Iterator[Block]:
    for fact in facts:
        yield _line(_run(f"{fact.label}: ", weight="Bolder"), _run(fact.text, fontType="Monospace"))


def _lines(text: str) -> Iterator[Block]:
    for line in text.splitlines():
        yield _line(_run(line or " "))


def _line(*runs: Block) -> Block:
    return {"type": "RichTextBlock", "spacing": "Small", "inlines": list(runs)}


def _run(text: str, **look: Any) -> Block:
    # Unlike a TextBlock, a TextRun is no Markdown: what a log says can write no link, mention or image.
    return {"type": "TextRun", "text": text, **look}
