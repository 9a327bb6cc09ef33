"""A notification as one JSON document: what the destinations for programs send, the webhook first. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trapline_plugins.api import Notification
from trapline_plugins.text import cut, notification_json

_LONGEST_TEXT = 2000
_LONGEST_ITEM = 200
_MOST_ITEMS = 20


def alert_json(notification: Notification, limit: int) -> str:
    """The document on one line, at most `limit` bytes: the records go first, then the context, then ends of texts."""
    data = notification_json(notification)
    document = _document(data, truncated=False)
    for shrink in (_without_records, _without_context, _with_short_texts):
        if len(document.encode()) <= limit:
            break
        data = shrink(data)
        document = _document(data, truncated=True)
    return document


def _document(data: Mapping[str, Any], *, truncated: bool) -> str:
    envelope = {"type": f"alert.{data['kind']}", "timestamp": data["at"], "truncated": truncated, "data": data}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def _without_records(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "records": []}


def _without_context(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "context": {}}


def _with_short_texts(data: dict[str, Any]) -> dict[str, Any]:
    return {name: _short(value) for name, value in data.items()}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return cut(value, _LONGEST_TEXT)
    if isinstance(value, list):
        return [cut(str(item), _LONGEST_ITEM) for item in value[:_MOST_ITEMS]]
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    return value
