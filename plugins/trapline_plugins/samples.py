"""Notifications to try a destination on: an everyday one, and what attackers and accidents make of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from trapline_plugins.api import Kind, Notification, Provenance

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_notification(**changes: Any) -> Notification:
    """An everyday notification, with the fields that are given changed."""
    everyday = Notification(
        delivery_id="5e1f0c8e",
        kind=Kind.OPENED,
        alert_id="a1b2c3",
        detection="login_brute_force_by_ip",
        title="Brute force from 203.0.113.9",
        severity="high",
        dedupe="203.0.113.9",
        match_count=5,
        first_match_at=NOW - timedelta(minutes=10),
        last_match_at=NOW - timedelta(minutes=1),
        at=NOW,
        provenance=Provenance(
            revision="0123456789abcdef0123456789abcdef01234567",
            digest="sha256:feed",
            table="aws_cloudtrail",
            window_start=NOW - timedelta(minutes=15),
            window_end=NOW,
            query_id="query-1",
            bytes_scanned=4096,
            replay="trapline alerts replay a1b2c3",
        ),
        description="Failed logins exceeded the threshold.",
        runbook="1. Look for a login that succeeded.\n2. Block the address.",
        references=("https://attack.mitre.org/techniques/T1110/",),
        tags=("brute_force",),
        context={"user": {"name": "root"}},
        records=({"event": {"action": "ConsoleLogin"}, "source": {"ip": "203.0.113.9"}},),
    )
    return replace(everyday, **changes)


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def _everywhere(text: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(("title", "dedupe", "description", "runbook"), text),
        **dict.fromkeys(("references", "false_positives", "attack", "tags"), (text,)),
        "context": {text: text},
        "records": ({text: [text]},),
    }


HOSTILE_TEXT = (
    "\x1b]0;pwned\x07\x1b[2J\r\n\0\x9b31m<!channel> @everyone <script>[x](javascript:1)\u202e\ud800 {{7*7}} %s"
)

NOTIFICATIONS: dict[str, Notification] = {
    "everyday": a_notification(),
    "updated": a_notification(kind=Kind.UPDATED),
    "resolved": a_notification(kind=Kind.RESOLVED),
    "empty": a_notification(**{**_everywhere(""), "description": None, "runbook": None, "context": {}, "records": ()}),
    "non-latin": a_notification(**_everywhere("ログイン失敗 نجاح 🔥👩‍👩‍👧 Ελληνικά")),
    "hostile": a_notification(**_everywhere(HOSTILE_TEXT)),
    "huge": a_notification(**_everywhere("𝔸\x01" * 50_000)),
    "many": a_notification(tags=("tag",) * 50_000, records=({"key": "value" * 100},) * 2_000),
    "deep": a_notification(context=_nested(5_000)),
    "odd numbers": a_notification(context={"nan": float("nan"), "inf": float("inf"), "big": 2**200}),
}
"""What a destination must be able to render, whatever an attacker wrote into a log."""
