"""An alert of a trial as its destinations would show it. Rendering is pure: nothing is sent, and nobody is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from typing import Any

from trapline.alerts.fold import opened
from trapline.alerts.lifecycle import Span
from trapline.alerts.match import Match
from trapline.alerts.notify import notification_of, provenance_of, provenance_to_json
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.tell import EXAMPLES
from trapline.author.trial.outcome import Found, Opened, Trial
from trapline.config.redact import hide_secrets
from trapline.delivery.destinations import build_destinations, make_tools
from trapline.delivery.plugins import describe_exception, load_plugins
from trapline.settings import Settings
from trapline.source.worktree import REVISION
from trapline_plugins.api import Destination, Kind, Notification
from trapline_plugins.console import Console, ConsoleConfig
from trapline_plugins.text import plain
from trapline_sandbox.record import jsonable


@dataclass(frozen=True, slots=True)
class Shown:
    """What one destination would show, as text; or, `missing`, why that cannot be told here."""

    destination: str
    text: str = ""
    missing: str = ""


def as_text(trial: Trial, alert: Opened, now: datetime) -> str:
    """The alert as a terminal shows it, wherever it goes to."""
    tools = make_tools(lambda: now, lambda _: None)
    with tools.http:
        return Console("terminal", ConsoleConfig(color=False), tools).render(_notification(trial, alert, now)).rstrip()


def as_delivered(trial: Trial, alert: Opened, settings: Settings, now: datetime) -> list[Shown]:
    """The alert as each of its destinations gets it."""
    notification = _notification(trial, alert, now)
    names = dict.fromkeys(name for found in alert.matches for name in found.answer.destinations)
    tools = make_tools(lambda: now, lambda _: None)
    with tools.http:
        usable, problems = build_destinations(settings, load_plugins(), env=os.environ, tools=tools, ask_aws=False)
        return [
            _shown(name, usable[name], notification)
            if name in usable
            else Shown(name, missing=next((one.message for one in problems if f"'{name}'" in one.message), _UNKNOWN))
            for name in names
        ]


_UNKNOWN = "trapline.yml does not have it"


def _shown(name: str, destination: Destination[Any], notification: Notification) -> Shown:
    if notification.kind not in destination.kinds:
        return Shown(name, missing="it does not want alerts that open")
    try:
        text = _as_text(destination.render(notification))
    except (Exception, SystemExit) as error:
        return Shown(name, missing=f"a bug in the plugin: {describe_exception(error)}")
    return Shown(name, hide_secrets(text, destination.config))


def _as_text(rendered: Any) -> str:
    """What a destination made of it: text as it is, all else, and text that is JSON, on indented lines."""
    if isinstance(rendered, str):
        text: str = rendered
        try:
            rendered = json.loads(text)
        except ValueError:
            return text
    value = asdict(rendered) if is_dataclass(rendered) and not isinstance(rendered, type) else rendered
    return json.dumps(plain(value), indent=2, ensure_ascii=False)


def _notification(trial: Trial, alert: Opened, now: datetime) -> Notification:
    """What would be said of it, made as a tick makes it."""
    config = trial.detection.config
    first = alert.matches[0].number
    at = trial.at(first) if first else None
    sample = at[0] if at else trial.samples[0]
    scan = ScanSummary("", sample.table, sample.window, now, 0.0, sample.count, sample.bytes_scanned, [config.name])
    origin = Origin(trial.detection.identity, config, REVISION, "")
    joined = [_match(trial, at, found) for at, found in enumerate(alert.matches)]
    span = Span(alert.matches[0].at, alert.end)
    row = opened(origin, provenance_to_json(provenance_of(origin, scan)), alert.dedupe, span, joined, now)
    row["provenance"]["replay"] = f"trapline try {config.name}"
    records: tuple[Mapping[str, Any], ...] = tuple(
        json.loads(match.record) for match in joined[:EXAMPLES] if match.record is not None
    )
    return notification_of(row, config, kind=Kind.OPENED, delivery_id="", records=records, now=now)


def _match(trial: Trial, at: int, found: Found) -> Match:
    wanted = at < EXAMPLES and found.number is not None
    record = json.dumps(jsonable(trial.record(found.number))) if wanted and found.number else None
    return Match(f"{at:09}", found.at, found.answer, record)
