"""What Slack refuses in a message: the limits of Block Kit, counted as strictly as they can be meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trapline_plugins.text import utf16_length

_TEXT_LIMITS = {"header": 150, "section": 3000, "field": 2000, "element": 3000}


def wrong_with(message: Mapping[str, Any]) -> str:
    """Slack's word for what is wrong with a message; empty where it takes it."""
    text, blocks = message.get("text", ""), message.get("blocks", [])
    if not text and not blocks:
        return "no_text"
    if utf16_length(text) > 40_000:
        return "msg_too_long"
    if not isinstance(blocks, list) or len(blocks) > 50 or any(_wrong_block(block) for block in blocks):
        return "invalid_blocks"
    return ""


def _wrong_block(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    fields, elements = block.get("fields", []), block.get("elements", [])
    if kind == "header":
        return block.get("text", {}).get("type") != "plain_text" or _too_long([block["text"]], "header")
    if kind == "section":
        texts = [block["text"]] if "text" in block else []
        nothing = not texts and not fields
        return nothing or len(fields) > 10 or _too_long(texts, "section") or _too_long(fields, "field")
    if kind == "context":
        return not 0 < len(elements) <= 10 or _too_long(elements, "element")
    return kind != "divider"


def _too_long(texts: Sequence[Mapping[str, Any]], where: str) -> bool:
    return not all(0 < length <= _TEXT_LIMITS[where] for length in _lengths(texts))


def _lengths(texts: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    for text in texts:
        yield utf16_length(text.get("text", "")) if text.get("type") in ("plain_text", "mrkdwn") else 0
