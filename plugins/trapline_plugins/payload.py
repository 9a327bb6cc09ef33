"""A notification as one JSON document: what the destinations for programs send, the webhook first. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Literal

from trapline_plugins.api import Notification, Provenance
from trapline_plugins.ocsf import detection_finding
from trapline_plugins.text import cut, notification_json

Payload = Literal["trapline", "ocsf"]
"""The shape of the document: our own, or OCSF's Detection Finding."""

PAYLOAD_SETTING = "`trapline` is our own body, `ocsf` an OCSF Detection Finding."

_LONGEST_TEXT = 2000
_LONGEST_ITEM = 200
_MOST_ITEMS = 20


def alert_json(notification: Notification, limit: int, payload: Payload = "trapline") -> str:
    """The document on one line, at most `limit` bytes: the records go first, then the context, then ends of texts."""
    shape = _SHAPES[payload]
    document = _dumped(shape(notification, truncated=False))
    for shrink in (_without_records, _without_context, _with_short_texts):
        if len(document.encode()) <= limit:
            break
        notification = shrink(notification)
        document = _dumped(shape(notification, truncated=True))
    return document


def delivery_of(document: Any) -> Any:
    """The delivery's id in a document of either shape. Raises LookupError or TypeError where it is neither."""
    return document["metadata"]["uid"] if "class_uid" in document else document["data"]["delivery_id"]


def _envelope(notification: Notification, *, truncated: bool) -> dict[str, Any]:
    data = notification_json(notification)
    return {"type": f"alert.{data['kind']}", "timestamp": data["at"], "truncated": truncated, "data": data}


_SHAPES: Mapping[Payload, Callable[..., dict[str, Any]]] = {"trapline": _envelope, "ocsf": detection_finding}


def _dumped(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _without_records(notification: Notification) -> Notification:
    return replace(notification, records=())


def _without_context(notification: Notification) -> Notification:
    return replace(notification, context={})


def _with_short_texts(notification: Notification) -> Notification:
    short = replace(notification, **{name: _short(value) for name, value in _fields(notification)})
    return replace(short, provenance=replace(short.provenance, **{n: _short(v) for n, v in _fields(short.provenance)}))


def _fields(of: Notification | Provenance) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(of, field.name)) for field in fields(of))


def _short(value: Any) -> Any:
    if type(value) is str:  # not a `Kind`
        return cut(value, _LONGEST_TEXT)
    if isinstance(value, tuple):
        return tuple(cut(str(item), _LONGEST_ITEM) for item in value[:_MOST_ITEMS])
    return value
