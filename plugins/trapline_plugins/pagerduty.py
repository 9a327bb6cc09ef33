"""The `pagerduty` destination: Events API v2. An alert of ours is an alert there, triggered, updated and resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, Field, SecretStr

from trapline_plugins.api import Delivered, Destination, DestinationConfig, Kind, Notification, Outcome, Rate, Rejected
from trapline_plugins.http import outcome_of_error, outcome_of_status, web_address
from trapline_plugins.story import Fact, Story, tell
from trapline_plugins.text import cut

MAX_BYTES = 512 * 1024
"""The largest event that PagerDuty takes."""

_MAX_SUMMARY = 1024
_MAX_FIELD = 255
_SEVERITIES = {
    "critical": "critical",
    "high": "error",
    "medium": "warning",
    "low": "info",
    "notice": "info",
    "info": "info",
}


def _routing_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if not (len(key) == 32 and key.isascii() and key.isalnum()):
        raise ValueError("this is not an integration key, which has 32 letters and digits")
    return value


class PagerDutyConfig(DestinationConfig):
    """The settings of a `pagerduty` destination."""

    routing_key: Annotated[SecretStr, AfterValidator(_routing_key)] = Field(
        description="The Integration Key of the service's Events API v2 integration."
    )
    url: Annotated[str, AfterValidator(web_address)] = Field(
        "https://events.pagerduty.com/v2/enqueue",
        description="The Events API; `https://events.eu.pagerduty.com/v2/enqueue` for accounts in the EU.",
    )
    timeout: float = Field(
        10, gt=0, le=20, description="Seconds to wait for the connection, for sending, and for the answer, each."
    )


class PagerDuty(Destination[PagerDutyConfig]):
    """Triggers and resolves by the alert's id as the key: what is sent twice is one alert there, and pages once."""

    kind = "pagerduty"
    config_model = PagerDutyConfig
    idempotent = True
    rate = Rate(120, timedelta(minutes=1))  # of events, for a routing key

    def render(self, notification: Notification) -> dict[str, Any]:
        key = {"dedup_key": _dedup_key(notification)}
        if notification.kind is Kind.RESOLVED:
            return {"event_action": "resolve", **key}
        story = tell(notification)
        return {
            "event_action": "trigger",
            **key,
            "client": "Trapline",
            "payload": {
                "summary": cut(story.headline, _MAX_SUMMARY),
                "severity": _SEVERITIES[notification.severity],
                "source": cut(story.subject or notification.provenance.table, _MAX_FIELD),
                "component": cut(notification.provenance.table, _MAX_FIELD),
                "group": cut(notification.detection, _MAX_FIELD),
                "timestamp": notification.at.isoformat(),
                "custom_details": _details(story),
            },
            "links": [{"href": address, "text": address} for address in story.references],
        }

    def send(self, notification: Notification, rendered: dict[str, Any], ref: str) -> Outcome:
        event = {"routing_key": self.config.routing_key.get_secret_value(), **rendered}
        try:
            # The body of the answer is never read: only the status counts, and it may quote the key.
            with self.tools.http.stream(
                "POST",
                self.config.url,
                content=_body(event),
                headers={"content-type": "application/json"},
                timeout=self.config.timeout,
                follow_redirects=False,
            ) as response:
                return self._outcome(response, rendered["dedup_key"])
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return outcome_of_error(error)

    def check(self) -> str | None:
        """HEAD: whether anybody is there. Whether the key is right, only an event can tell."""
        try:
            with self.tools.http.stream("HEAD", self.config.url, timeout=self.config.timeout, follow_redirects=False):
                return None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return outcome_of_error(error).reason

    def _outcome(self, response: httpx.Response, key: str) -> Outcome:
        if response.status_code == 202:
            return Delivered(ref=key)
        if response.is_success:  # a portal or a proxy, with nobody to wake up behind it
            return Rejected(f"it answered {response.status_code}, not 202: `url` is not that of the Events API v2")
        if response.status_code == 400:
            return Rejected("it answered 400 Bad Request: is `routing_key` that of an Events API v2 integration?")
        return outcome_of_status(response, self.tools.now())


def _dedup_key(notification: Notification) -> str:
    """One for each alert of ours: after a resolve the same key would open a new incident there."""
    return cut(f"trapline:{notification.alert_id}", _MAX_FIELD)


def _details(story: Story) -> dict[str, Any]:
    details = {
        **_object(story.facts),
        "Evidence": _object(story.evidence),
        "Why": story.description,
        "Runbook": story.runbook,
        "False positives": list(story.false_positives),
        **_object(story.origin),
    }
    return {label: value for label, value in details.items() if value}


def _object(facts: tuple[Fact, ...]) -> Mapping[str, str]:
    return {fact.label: fact.text for fact in facts}


def _body(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
