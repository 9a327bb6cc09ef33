"""A notification as a Detection Finding of the Open Cybersecurity Schema Framework. Pure.

Field names and numbers are those of OCSF 1.3.0, class 2004; later versions take the same document.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from trapline_plugins.api import Kind, Notification
from trapline_plugins.text import MAX_DEPTH, cut, notification_json, plain, well_formed

VERSION = "1.3.0"

_CLASS = 2004
_ACTIVITIES = {Kind.OPENED: (1, "Create"), Kind.UPDATED: (2, "Update"), Kind.RESOLVED: (3, "Close")}
_NEW, _RESOLVED = (1, "New"), (4, "Resolved")
_SEVERITIES = {
    "info": (1, "Informational"),
    "notice": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_LONGEST_TEXT = 65_535  # OCSF's `string_t`
_MOST_OBSERVABLES = 50
_LONGEST_OBSERVABLE = 500


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_text(value: str) -> bool:
    return 0 < len(value) <= _LONGEST_OBSERVABLE


# By the end of a field's path in ECS, for the first that fits.
_OBSERVABLES: tuple[tuple[re.Pattern[str], int, str, Callable[[str], bool]], ...] = (
    (re.compile(r"(^|\.)(ip|address)$"), 2, "IP Address", _is_address),
    (re.compile(r"(^|\.)host\.(name|hostname)$"), 1, "Hostname", _is_text),
    (re.compile(r"(^|\.)user(\.target|\.effective|\.changes)?\.name$"), 4, "User Name", _is_text),
    (re.compile(r"(^|\.)user(\.target|\.effective|\.changes)?\.email$"), 5, "Email Address", _is_text),
    (re.compile(r"(^|\.)url\.(full|original)$"), 6, "URL String", _is_text),
    (re.compile(r"(^|\.)file\.name$"), 7, "File Name", _is_text),
    (re.compile(r"(^|\.)hash\.\w+$"), 8, "Hash", _is_text),
    (re.compile(r"(^|\.)process\.name$"), 9, "Process Name", _is_text),
)
_ATTACK = re.compile(r"(?:(TA\d{4})(?::|$))?(?:(T\d{4})(\.\d{3})?)?", re.IGNORECASE)


def detection_finding(notification: Notification, *, truncated: bool) -> dict[str, Any]:
    """The finding; `truncated` says in it that some of the notification was too long for it."""
    n = notification
    activity_id, activity = _ACTIVITIES[n.kind]
    severity_id, severity = _SEVERITIES[n.severity]
    status_id, status = _RESOLVED if n.kind is Kind.RESOLVED else _NEW
    finding = {
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": _CLASS * 100 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "time": _milliseconds(n.at),
        "start_time": _milliseconds(n.first_match_at),
        "end_time": _milliseconds(n.last_match_at),
        "count": n.match_count,
        "message": _text(n.title),
        "metadata": _metadata(n),
        "finding_info": _finding_info(n),
        "evidences": [{"data": plain(record)} for record in n.records],
        "observables": _observables(n),
        "unmapped": _unmapped(n, truncated=truncated),
    }
    if n.resolution:
        finding["status_detail"] = _text(n.resolution)
    if n.runbook:
        finding["remediation"] = {"desc": _text(n.runbook)}
    return {name: value for name, value in finding.items() if value != []}


def _metadata(n: Notification) -> dict[str, Any]:
    return {
        "version": VERSION,
        "product": {"name": "Trapline", "vendor_name": "Trapline"},
        "uid": _text(n.delivery_id),
        "correlation_uid": _text(n.alert_id),
        "log_name": _text(n.provenance.table),
    }


def _finding_info(n: Notification) -> dict[str, Any]:
    name = _text(n.detection)
    info = {
        "uid": _text(n.alert_id),
        "title": _text(n.title) or "(no title)",
        "desc": _text(n.description or ""),
        "types": [_text(tag) for tag in n.tags],
        "first_seen_time": _milliseconds(n.first_match_at),
        "last_seen_time": _milliseconds(n.last_match_at),
        "modified_time": _milliseconds(n.at),
        "data_sources": [_text(n.provenance.table)],
        "attacks": [attack for attack in map(_attack, n.attack) if attack],
        "analytic": {
            "type_id": 1,
            "type": "Rule",
            "uid": name,
            "name": name,
            "version": _text(n.provenance.revision),
        },
    }
    return {name: value for name, value in info.items() if value not in ("", [])}


def _attack(text: str) -> dict[str, Any]:
    """`TA0006:T1110.001` and parts of it; nothing where it is none of ATT&CK's ids."""
    ids = _ATTACK.fullmatch(text)
    if not ids:
        return {}
    tactic, technique, sub = (part.upper() if part else "" for part in ids.groups())
    uids = {"tactic": tactic, "technique": technique, "sub_technique": technique + sub if sub else ""}
    return {name: {"uid": uid} for name, uid in uids.items() if uid}


def _observables(n: Notification) -> list[dict[str, Any]]:
    """What an analyst may pivot on, by the names that ECS gives it, once each."""
    fields = [field for record in n.records for field in _leaves(plain(record), "evidences.data", MAX_DEPTH)]
    fields += _leaves(plain(n.context), "unmapped.context", MAX_DEPTH)
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for path, value in fields:
        for pattern, type_id, caption, fits in _OBSERVABLES:
            if pattern.search(path) and fits(value):
                observable = {"name": path, "type_id": type_id, "type": caption, "value": value}
                found.setdefault((type_id, value), observable)
                break
    return list(islice(found.values(), _MOST_OBSERVABLES))


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and depth:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}", depth - 1)
    elif isinstance(value, list) and depth:
        for item in value:
            yield from _leaves(item, path, depth - 1)
    elif isinstance(value, str):
        yield path, value


def _unmapped(n: Notification, *, truncated: bool) -> dict[str, Any]:
    """What OCSF has no place for, under our own names."""
    ours = notification_json(n)
    names = ("kind", "severity", "dedupe", "tags", "references", "false_positives", "attack", "context", "provenance")
    return {"truncated": truncated, **{name: ours[name] for name in names}}


def _text(text: str) -> str:
    return cut(well_formed(text), _LONGEST_TEXT)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
