"""The `webhook` destination: one signed JSON POST for each notification, by the Standard Webhooks scheme."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Annotated

import httpx
import standardwebhooks
from pydantic import AfterValidator, Field, SecretStr

from trapline_plugins.api import Destination, DestinationConfig, Notification, Outcome
from trapline_plugins.http import outcome_of_error, outcome_of_status, web_address
from trapline_plugins.payload import PAYLOAD_SETTING, Payload, alert_json

MAX_BYTES = 256 * 1024
"""The largest body that is sent; what is larger loses its records first, then its context, then long texts."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = ("content-type", "content-length", "transfer-encoding", "host", "connection")


def _web_address(value: SecretStr) -> SecretStr:
    web_address(value.get_secret_value())
    return value


def _signing_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().removeprefix("whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("this is not a Standard Webhooks secret, which is `whsec_` and a key in base64")
    return value


def _headers(value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, content in value.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("a header's name has a character that HTTP does not allow")
        if name.lower() in _OURS or name.lower().startswith("webhook-"):
            raise ValueError(f"the header {name} is set by Trapline itself")
        text = content.get_secret_value()
        if not (text.isascii() and text.isprintable()):
            raise ValueError(f"the header {name} has a character that HTTP does not allow, perhaps a line break")
    return value


class WebhookConfig(DestinationConfig):
    """The settings of a `webhook` destination."""

    url: Annotated[SecretStr, AfterValidator(_web_address)] = Field(
        description="Where to POST to. It may carry a user, password or token, and is shown nowhere."
    )
    secret: Annotated[SecretStr, AfterValidator(_signing_secret)] | None = Field(
        None, description="Signs every request: `whsec_` and a key in base64. Without it nothing is signed."
    )
    headers: Annotated[Mapping[str, SecretStr], AfterValidator(_headers)] = Field(
        {}, description="More headers, such as Authorization."
    )
    payload: Payload = Field("trapline", description=PAYLOAD_SETTING)
    timeout: float = Field(
        10, gt=0, le=20, description="Seconds to wait for the connection, for sending, and for the answer, each."
    )


class Webhook(Destination[WebhookConfig]):
    """POSTs the notification as JSON. The `webhook-id` stays the same over attempts: receivers drop repeats by it."""

    kind = "webhook"
    config_model = WebhookConfig
    idempotent = True

    def render(self, notification: Notification) -> str:
        return alert_json(notification, MAX_BYTES, self.config.payload)

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        now = self.tools.now()
        return post(self.tools.http, self.config, message_id=notification.delivery_id, body=rendered, now=now)

    def check(self) -> str | None:
        """HEAD, which changes nothing by its definition; whatever is answered, something is there to deliver to."""
        try:
            with _request(self.tools.http, self.config, "HEAD", {}, None):
                return None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return outcome_of_error(error).reason


def post(http: httpx.Client, config: WebhookConfig, *, message_id: str, body: str, now: datetime) -> Outcome:
    """One POST of a JSON body, signed where there is a secret. `message_id` is the same in every attempt."""
    now = now.astimezone(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if config.secret:
        signer = standardwebhooks.Webhook(config.secret.get_secret_value())
        headers["webhook-signature"] = signer.sign(message_id, now, body)
    try:
        with _request(http, config, "POST", headers, body.encode()) as response:
            return outcome_of_status(response, now)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return outcome_of_error(error)


def _request(
    http: httpx.Client, config: WebhookConfig, method: str, headers: Mapping[str, str], content: bytes | None
) -> AbstractContextManager[httpx.Response]:
    # Streamed, and the body never read: only the status counts, and a hostile body could be endless.
    return http.stream(
        method,
        config.url.get_secret_value(),
        headers={name: value.get_secret_value() for name, value in config.headers.items()} | dict(headers),
        content=content,
        timeout=config.timeout,
        follow_redirects=False,
    )
