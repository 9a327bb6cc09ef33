"""What Jira refuses in a document: nodes and marks by the Atlassian Document Format, as strictly as it can be meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trapline_plugins.text import utf16_length

MAX_DOCUMENT = 32_767

_INLINE = frozenset({"text", "hardBreak", "status", "mention", "emoji", "inlineCard"})
_IN_PANEL = frozenset({"paragraph", "heading", "bulletList", "orderedList", "codeBlock"})
_IN_CELL = _IN_PANEL | {"panel", "blockquote", "rule"}
_IN_ITEM = frozenset({"paragraph", "bulletList", "orderedList", "codeBlock"})
_CONTENT = {
    "doc": _IN_CELL | {"table"},
    "panel": _IN_PANEL,
    "blockquote": frozenset({"paragraph"}),
    "table": frozenset({"tableRow"}),
    "tableRow": frozenset({"tableHeader", "tableCell"}),
    "tableHeader": _IN_CELL,
    "tableCell": _IN_CELL,
    "bulletList": frozenset({"listItem"}),
    "orderedList": frozenset({"listItem"}),
    "listItem": _IN_ITEM,
    "paragraph": _INLINE,
    "heading": _INLINE,
    "codeBlock": frozenset({"text"}),
}
"""What may stand in what; a node that is not here holds nothing."""

_MAY_BE_EMPTY = ("doc", "paragraph", "heading", "codeBlock")
_PANELS = ("info", "note", "tip", "warning", "error", "success")
_COLOURS = ("neutral", "purple", "blue", "red", "yellow", "green")
_MARKS = ("strong", "em", "code", "strike", "underline", "link")
_KEYS = {"doc": {"version", "type", "content"}, "text": {"type", "text", "marks"}}
_OTHER_KEYS = {"type", "attrs", "content"}


def wrong_document(document: Any) -> str:
    """What is wrong with a description or comment, in words like Jira's; empty where it takes it."""
    if not isinstance(document, dict) or document.get("type") != "doc" or document.get("version") != 1:
        return "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    if _is_wrong(document):
        return "INVALID_INPUT"
    if utf16_length(json.dumps(document, ensure_ascii=False, separators=(",", ":"))) > MAX_DOCUMENT:
        return "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
    return ""


def _is_wrong(node: Mapping[str, Any]) -> bool:
    kind = node.get("type", "")
    if set(node) - _KEYS.get(kind, _OTHER_KEYS) or _wrong_attributes(kind, node.get("attrs", {})):
        return True
    if kind == "text":
        return _wrong_text(node)
    content = node.get("content", [])
    if not isinstance(content, list) or (kind in _CONTENT and not content and kind not in _MAY_BE_EMPTY):
        return True
    if kind == "codeBlock" and any("marks" in inner for inner in content):
        return True
    if kind == "listItem" and content[0].get("type") not in ("paragraph", "codeBlock"):
        return True
    return any(inner.get("type") not in _CONTENT.get(kind, ()) or _is_wrong(inner) for inner in content)


def _wrong_attributes(kind: str, attributes: Mapping[str, Any]) -> bool:
    match kind:
        case "heading":
            return attributes.get("level") not in range(1, 7)
        case "panel":
            return attributes.get("panelType") not in _PANELS
        case "status":
            return not attributes.get("text") or attributes.get("color") not in _COLOURS
        case "mention":
            return not attributes.get("id")
    return False


def _wrong_text(node: Mapping[str, Any]) -> bool:
    text, marks = node.get("text"), node.get("marks", [])
    kinds = [mark.get("type") for mark in marks]
    wrong_kinds = any(kind not in _MARKS for kind in kinds) or len(set(kinds)) < len(kinds)
    alone = "code" in kinds and not set(kinds) <= {"code", "link"}
    nowhere = any(mark["type"] == "link" and not mark.get("attrs", {}).get("href") for mark in marks)
    return not isinstance(text, str) or not text or wrong_kinds or alone or nowhere
