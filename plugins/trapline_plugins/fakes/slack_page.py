"""The fake Slack's channel as a web page, for a person to judge whether a message reads well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import unescape
from typing import Any, Protocol

from trapline_plugins.fake_server import Answer
from trapline_plugins.fakes.pages import answer_page, literal


class Message(Protocol):
    """What is shown of a message."""

    ts: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str
    edits: int


_STYLE = """
body { font: 15px/1.46 Lato, "Segoe UI", Roboto, sans-serif; color: #1d1c1d; margin: 2em; max-width: 46em }
article { padding: .5em 0 .5em 3.5em; position: relative }
article::before { content: "T"; position: absolute; left: 0; top: .7em; width: 36px; height: 36px; border-radius: 6px;
  background: #4a154b; color: white; font: 700 20px/36px sans-serif; text-align: center }
.thread { margin-left: 3.5em; border-left: 2px solid #ddd; padding-left: 1em }
.who, .replies { font-size: 12px; color: #616061 }
.who b { font-weight: 900; font-size: 15px; color: #1d1c1d }
.app { background: #e8e8e8; border-radius: 2px; padding: 1px 3px; font-size: 10px }
h3 { margin: .3em 0; font-size: 18px; line-height: 1.33; overflow-wrap: anywhere }
.text { white-space: pre-wrap; overflow-wrap: anywhere }
.section, .fields, .rich_text { margin: .5em 0 }
.fields { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: .5em 1.5em }
.context { font-size: 13px; color: #616061; display: flex; flex-wrap: wrap; gap: 0 .8em; margin: .5em 0 }
.context .text { max-width: 100% }
code { font: 12px/1.5 Monaco, Menlo, Consolas, monospace; color: #c01343; background: #f6f6f6;
  border: 1px solid #ddd; border-radius: 3px; padding: 2px 3px }
pre { font: 12px/1.5 Monaco, Menlo, Consolas, monospace; background: #f6f6f6; border: 1px solid #ddd;
  border-radius: 4px; padding: 8px; margin: .2em 0; white-space: pre-wrap; overflow-wrap: anywhere }
blockquote { border-left: 4px solid #ddd; margin: .2em 0; padding-left: .8em }
hr { border: 0; border-top: 1px solid #ddd; margin: .8em 0 }
.edited { font-size: 13px; color: #616061 }
.mention { background: #fc6 }
"""


def page(messages: Iterable[Message]) -> Answer:
    """The channel: every thread below the message that it belongs to."""
    held = list(messages)
    return answer_page("Slack, a fake", _STYLE, "".join(_with_thread(m, held) for m in held if not m.thread_ts))


def _with_thread(message: Message, held: Iterable[Message]) -> str:
    replies = [reply for reply in held if reply.thread_ts == message.ts]
    if not replies:
        return _article(message)
    count = "1 reply" if len(replies) == 1 else f"{len(replies)} replies"
    below = "".join(_article(reply) for reply in replies)
    return f'{_article(message)}<div class="thread"><div class="replies">{count}</div>{below}</div>'


def _article(message: Message) -> str:
    at = datetime.fromtimestamp(float(message.ts), UTC).strftime("%H:%M")
    blocks = "".join(_block(block) for block in message.blocks) or _text({"type": "mrkdwn", "text": message.text})
    edited = '<span class="edited">(edited)</span>' if message.edits else ""
    who = f'<div class="who"><b>Trapline</b> <span class="app">APP</span> {at}</div>'
    return f"<article>{who}{blocks}{edited}</article>"


def _block(block: Mapping[str, Any]) -> str:
    if block["type"] == "header":
        return f"<h3>{_inline(block['text'])}</h3>"
    if block["type"] == "divider":
        return "<hr>"
    text = f'<div class="section">{_text(block["text"])}</div>' if "text" in block else ""
    fields = "".join(_text(field) for field in block.get("fields", ()))
    elements = "".join(_text(element) for element in block.get("elements", ()))
    return (
        text
        + (f'<div class="fields">{fields}</div>' if fields else "")
        + (f'<div class="context">{elements}</div>' if elements else "")
    )


def _text(text: Mapping[str, Any]) -> str:
    return f'<div class="text">{_inline(text)}</div>'


def _inline(text: Mapping[str, Any]) -> str:
    """The text as Slack would show it: formatting, mentions and links only where they would be ones there."""
    if text["type"] == "plain_text":
        return literal(text["text"])
    return "".join(_preformatted(part) for part in re.split(r"(```.+?```)", text["text"], flags=re.DOTALL))


def _preformatted(text: str) -> str:
    if re.fullmatch("```.+```", text, re.DOTALL):
        return f"<pre>{_pieces(text[3:-3].strip(chr(10)), formatted=False)}</pre>"
    lines = re.split(r"^(&gt; ?.*)$", text, flags=re.MULTILINE)
    return "".join(_quoted(line) for line in lines)


def _quoted(text: str) -> str:
    quote = re.fullmatch("&gt; ?(.*)", text)
    return f"<blockquote>{_pieces(quote[1])}</blockquote>" if quote else _pieces(text)


def _pieces(text: str, *, formatted: bool = True) -> str:
    # Slack reads what is in angle brackets before anything else, in code as well.
    return "".join(_piece(piece, formatted=formatted) for piece in re.split(r"(<[^<>\n]+>)", text))


def _piece(piece: str, *, formatted: bool) -> str:
    if re.fullmatch("<https?://[^<>|]+>", piece):
        return f'<a href="{_meant(piece[1:-1])}">{_meant(piece[1:-1])}</a>'
    if re.fullmatch(r"<[^<>\n]+>", piece):
        return f'<b class="mention">{_meant(piece)}</b>'
    return "".join(map(_formatted, re.split(r"(`[^`\n]+`)", piece))) if formatted else _meant(piece)


def _formatted(text: str) -> str:
    if re.fullmatch("`[^`\n]+`", text):
        return f"<code>{_meant(text[1:-1])}</code>"
    text = re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", _meant(text))
    return re.sub(r"(?<!\w)_([^_\n]+)_(?!\w)", r"<i>\1</i>", text)


def _meant(text: str) -> str:
    """What the escapes in a message stand for, as HTML."""
    return literal(unescape(text))
