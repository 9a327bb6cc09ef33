"""The fake Slack's channel as a web page, for a person to judge whether a message reads well."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Message(Protocol):
    """What is shown of a message."""

    ts: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str


_STYLE = """<style>
body { font: 15px/1.46 Lato, sans-serif; color: #1d1c1d; margin: 2em; max-width: 46em }
article { padding: .3em 1em; border-left: 4px solid #ddd; margin-bottom: 1em }
article.reply { margin-left: 3em }
h3 { margin: .3em 0; font-size: 18px }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: .4em 0 }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: .4em 1.5em }
.context { font-size: 13px; color: #616061 }
code { font-size: 12px; color: #c01343; background: #f6f6f6; border: 1px solid #ddd; padding: 1px 3px }
.mention { background: #fc6 }
</style>"""


def page(messages: Iterable[Message]) -> str:
    """The channel as HTML: every thread below the message that it belongs to."""
    held = list(messages)
    threads = (
        _article(message) + "".join(_article(reply) for reply in held if reply.thread_ts == message.ts)
        for message in held
        if not message.thread_ts
    )
    return f"<!doctype html><meta charset=utf-8><title>Slack, a fake</title>{_STYLE}{''.join(threads)}"


def _article(message: Message) -> str:
    blocks = "".join(_block(block) for block in message.blocks) or _text({"type": "mrkdwn", "text": message.text})
    return f'<article class="{"reply" if message.thread_ts else "alert"}">{blocks}</article>'


def _block(block: Mapping[str, Any]) -> str:
    if block["type"] == "header":
        return f"<h3>{_inline(block['text'])}</h3>"
    parts = "".join(_text(part) for part in (*block.get("fields", ()), *block.get("elements", ())))
    kind = "fields" if "fields" in block else block["type"]
    return f'<div class="{html.escape(kind)}">{_text(block["text"]) if "text" in block else ""}{parts}</div>'


def _text(text: Mapping[str, Any]) -> str:
    return f'<div class="text">{_inline(text)}</div>'


def _inline(text: Mapping[str, Any]) -> str:
    """The text as Slack would show it: formatting, mentions and links only where they would be ones there."""
    if text["type"] == "plain_text":
        return html.escape(text["text"])
    # Slack reads what is in angle brackets before anything else, in code as well.
    return "".join(_piece(piece) for piece in re.split(r"(<[^<>\n]+>)", text["text"]))


def _piece(piece: str) -> str:
    if re.fullmatch("<https?://[^<>|]+>", piece):
        return f'<a href="{_literal(piece[1:-1])}">{_literal(piece[1:-1])}</a>'
    if re.fullmatch(r"<[^<>\n]+>", piece):
        return f'<b class="mention">{_literal(piece)}</b>'
    return "".join(_formatted(part) for part in re.split(r"(`[^`\n]+`)", piece))


def _formatted(text: str) -> str:
    if re.fullmatch("`[^`\n]+`", text):
        return f"<code>{_literal(text[1:-1])}</code>"
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", _literal(text))


def _literal(text: str) -> str:
    return html.escape(html.unescape(text))
