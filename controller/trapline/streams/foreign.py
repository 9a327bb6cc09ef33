"""What other producers put around records: it is named, with the remedy, and never parsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_AGGREGATED = b"\xf3\x89\x9a\xc2"
_GZIP_IN_BASE64 = b"H4sI"
_CHECK, _DATA = "CONTROL_MESSAGE", "DATA_MESSAGE"


def packed(content: bytes) -> str | None:
    """Why bytes hold no records though they hold something else; None where they may."""
    if content.startswith(_AGGREGATED):
        return (
            "it is an aggregated record of the Kinesis Producer Library, which holds several: set AggregationEnabled "
            "to false where it is sent"
        )
    if content.startswith(_GZIP_IN_BASE64):
        return "it is gzip as base64 text, as functions are given it: send the JSON that it holds"
    return None


def logged(found: Sequence[Any]) -> str | None:
    """Why JSON documents that are subscriptions of CloudWatch Logs hold no records; None where none of them is."""
    groups = [one.get("logGroup") for one in found if _is_of_cloudwatch(one) and one["messageType"] == _DATA]
    if not groups:
        return None
    return (
        f"it is an envelope of CloudWatch Logs, from the log group {groups[0]}, and its events are text: let a "
        "function send each event's message as a record of its own; those of CloudTrail come by EventBridge too"
    )


def without_checks(found: Sequence[Any]) -> Sequence[Any]:
    """The documents, but for those with which CloudWatch Logs tries whether it can send."""
    return [one for one in found if not (_is_of_cloudwatch(one) and one["messageType"] == _CHECK)]


def _is_of_cloudwatch(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and document.get("messageType") in (_CHECK, _DATA)
        and {"owner", "logGroup", "logEvents"} <= document.keys()
    )
