"""A PagerDuty for tests: the Events API v2, the alerts it holds, and a page that shows them.

with fake_pagerduty() as pagerduty:
    ...  # deliver to pagerduty.url with pagerduty.routing_key
    assert [alert.status for alert in pagerduty.alerts] == ["triggered"]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.fakes.faults import Faults
from trapline_plugins.fakes.pages import answer_page, literal, run_by_hand

MAX_BYTES = 512 * 1024
_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(slots=True)
class FakeAlert:
    """An alert as PagerDuty keeps it: every trigger with its key while it is open belongs to it."""

    dedup_key: str
    triggers: list[dict[str, Any]]
    status: Literal["triggered", "resolved"] = "triggered"


@dataclass(slots=True)
class FakePagerDuty:
    """Where it is, which key it takes, what it holds, and what shall go wrong."""

    routing_key: str
    url: str = ""
    alerts: list[FakeAlert] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    """Resolves of what was not open: accepted, and without effect."""
    faults: Faults = field(default_factory=lambda: Faults(unauthorised=_invalid("Invalid routing key")))

    def take(self, request: Request) -> Answer:
        """Answers one request as the Events API does."""
        if request.method in ("GET", "HEAD") and request.path == "/":
            return self.page()
        if (request.method, request.path) != ("POST", "/v2/enqueue"):
            return Answer(404)
        if len(request.body) > MAX_BYTES:
            return _invalid("Event is too large")
        try:
            event = json.loads(request.body)
        except ValueError:
            return _invalid("JSON parse error")
        wrong = _wrong(event, self.routing_key)
        if wrong:
            return _invalid(wrong)
        key = event.get("dedup_key") or f"generated-{len(self.alerts)}"
        self._apply(event, key)
        return _answer(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def page(self) -> Answer:
        """What it holds, as a web page that a person can look at."""
        shown = "".join(_shown(alert) for alert in self.alerts)
        return answer_page("PagerDuty, a fake", _STYLE, f"<h1>Alerts</h1>{shown}")

    def _apply(self, event: dict[str, Any], key: str) -> None:
        is_open = [alert for alert in self.alerts if alert.dedup_key == key and alert.status == "triggered"]
        if event["event_action"] == "trigger":
            if is_open:
                is_open[0].triggers.append(event)
            else:
                self.alerts.append(FakeAlert(key, [event]))
        elif is_open and event["event_action"] == "resolve":
            is_open[0].status = "resolved"
        elif not is_open:
            self.dropped.append(event)


@contextmanager
def fake_pagerduty(routing_key: str = "0123456789abcdef0123456789abcdef", port: int = 0) -> Iterator[FakePagerDuty]:
    """Runs a PagerDuty that takes events with this routing key, until the block ends."""
    fake = FakePagerDuty(routing_key)
    with serving(fake.faults.around(fake.take), port) as server:
        fake.url = f"{server.url}v2/enqueue"
        yield fake


def _wrong(event: Any, routing_key: str) -> str:
    """What the Events API has against an event, in words like its own; empty where it takes it."""
    if not isinstance(event, dict):
        return "Event object format is unrecognized"
    if event.get("routing_key") != routing_key:
        return "Invalid routing key"
    action, key = event.get("event_action"), event.get("dedup_key", "")
    if action not in ("trigger", "acknowledge", "resolve"):
        return "'event_action' is invalid"
    if len(key) > 255 or (not key and action != "trigger"):
        return "'dedup_key' is missing or too long"
    return _wrong_payload(event.get("payload") or {}) if action == "trigger" else ""


def _wrong_payload(payload: Mapping[str, Any]) -> str:
    if not 0 < len(payload.get("summary", "")) <= 1024:
        return "'payload.summary' is missing, blank or too long"
    if not payload.get("source"):
        return "'payload.source' is missing or blank"
    if payload.get("severity") not in _SEVERITIES:
        return "'payload.severity' is invalid"
    return ""


def _invalid(error: str) -> Answer:
    return _answer(400, {"status": "invalid event", "message": "Event object is invalid", "errors": [error]})


def _answer(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), (("Content-Type", "application/json"),))


_STYLE = """
body { font: 14px sans-serif; margin: 2em; max-width: 60em }
article { border: 1px solid #ccc; padding: 0 1em 1em; margin-bottom: 1em }
td { vertical-align: top; padding: 2px 12px 2px 0; white-space: pre-wrap; overflow-wrap: anywhere }
"""


def _shown(alert: FakeAlert) -> str:
    event = alert.triggers[-1]
    payload = event["payload"]
    line = f"{alert.status}, {payload['severity']}, {payload['source']}, {len(alert.triggers)} triggers"
    links = "".join(
        f'<p><a href="{literal(link["href"])}">{literal(link["text"])}</a>' for link in event.get("links", [])
    )
    return (
        f"<article><h2>{literal(payload['summary'])}</h2><p>{literal(line)}"
        f"{_table(payload.get('custom_details', {}))}{links}</article>"
    )


def _table(value: Any) -> str:
    if isinstance(value, dict):
        rows = "".join(f"<tr><td><b>{literal(str(key))}</b><td>{_table(item)}" for key, item in value.items())
        return f"<table>{rows}</table>"
    if isinstance(value, list):
        return "<br>".join(_table(item) for item in value)
    return literal(str(value))


def _setting(pagerduty: FakePagerDuty) -> str:
    lines = ("type: pagerduty", f"url: {pagerduty.url}", f"routing_key: {pagerduty.routing_key}")
    return "\n".join(f"    {line}" for line in lines)


if __name__ == "__main__":
    run_by_hand(fake_pagerduty, _setting, what="PagerDuty")
