"""The `slack` destination: a message for each alert, kept up to date in its place, with its changes in its thread."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from trapline_plugins.api import (
    Delivered,
    Destination,
    DestinationConfig,
    Kind,
    Notification,
    Outcome,
    Rate,
    Rejected,
    Tools,
    Unknown,
)
from trapline_plugins.http import web_address
from trapline_plugins.slack_api import SlackApi
from trapline_plugins.slack_blocks import alert_message, change_message

EVENT_TYPE = "trapline_alert"
"""The type of the metadata by which a message is found again."""

_MAX_PAGES = 5
_PAGE = 200
_CLOCKS_DIFFER = timedelta(minutes=5)
_AS_IT_IS = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none"}
_CANNOT_EDIT = ("cant_update_message", "edit_window_closed")


def _channel_id(value: str) -> str:
    if not re.fullmatch(r"[CGD][A-Z0-9]{2,30}", value):
        raise ValueError("this is not a channel's ID, such as C0123456789; Slack shows it below a channel's details")
    return value


def _bot_token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"xoxb-[A-Za-z0-9-]+", value.get_secret_value()):
        raise ValueError("this is not a bot's token, which begins with xoxb-")
    return value


class SlackConfig(DestinationConfig):
    """The settings of a `slack` destination."""

    token: Annotated[SecretStr, AfterValidator(_bot_token)] = Field(description="The bot's token, `xoxb-...`.")
    channel: Annotated[str, AfterValidator(_channel_id)] = Field(
        description="The ID of the channel to post to, such as C0123456789. The bot must be in it."
    )
    url: Annotated[str, AfterValidator(web_address)] = Field(
        "https://slack.com/api/", description="Where Slack's Web API is."
    )
    # Two calls make a delivery, and the router leaves it alone for a minute.
    timeout: float = Field(
        10, gt=0, le=10, description="Seconds to wait for the connection, for sending, and for the answer, each."
    )


class Slack(Destination[SlackConfig]):
    """One message for each alert. `ref` is its `ts`: later deliveries edit it, and reply below it.

    Slack takes everything twice that is sent twice. So every message carries its delivery's id as metadata, and
    `find` looks in the channel for one whose answer was lost.
    """

    kind = "slack"
    config_model = SlackConfig
    rate = Rate(1, timedelta(seconds=1))  # of messages, in a channel

    def __init__(self, name: str, config: SlackConfig, tools: Tools) -> None:
        super().__init__(name, config, tools)
        token = config.token.get_secret_value()
        self._api = SlackApi(tools, url=config.url, token=token, timeout=config.timeout)

    def render(self, notification: Notification) -> dict[str, Any]:
        return {"alert": alert_message(notification), "change": change_message(notification)}

    def send(self, notification: Notification, rendered: dict[str, Any], ref: str) -> Outcome:
        if not ref or notification.kind is Kind.OPENED:
            return self._post(notification, rendered["alert"])
        # The edit may be repeated without harm; the reply is what counts, so it comes last.
        edit = self._api.post("chat.update", self._edited(notification, rendered["alert"], ref))
        if edit.error == "message_not_found":
            return self._post(notification, rendered["alert"])
        if edit.failure and edit.error not in _CANNOT_EDIT:
            return edit.failure
        return self._post(notification, rendered["change"], thread=ref)

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        """Looks through the channel since the alert began, and through the alert's thread."""
        began = min(notification.first_match_at, notification.at)
        for message in self._messages("conversations.history", since=began):
            if isinstance(message, Unknown):
                return message
            known, ts = _metadata(message), str(message.get("ts", ""))
            if known.get("delivery_id") == notification.delivery_id:
                return Delivered(ref=ts)
            if known.get("alert_id") == notification.alert_id:
                return self._find_reply(notification, ts)
        return None

    def check(self) -> str | None:
        """Asks who the bot is, and for the channel's last message: that needs all the rights but to post."""
        for method, query in (
            ("auth.test", {}),
            ("conversations.history", {"channel": self.config.channel, "limit": "1"}),
        ):
            if failure := self._api.get(method, query).failure:
                return failure.reason
        return None

    def _post(self, notification: Notification, message: Mapping[str, Any], thread: str = "") -> Outcome:
        known = _known_by(notification, delivery_id=notification.delivery_id)
        body = {"channel": self.config.channel, **message, **_AS_IT_IS, "metadata": known}
        answer = self._api.post("chat.postMessage", body | ({"thread_ts": thread} if thread else {}))
        return answer.failure or Delivered(ref=thread or str(answer.body.get("ts", "")))

    def _edited(self, notification: Notification, message: Mapping[str, Any], ts: str) -> Mapping[str, Any]:
        # Without the delivery's id: the edit alone is not yet the delivery.
        known = _known_by(notification)
        return {"channel": self.config.channel, "ts": ts, **message, "parse": "none", "metadata": known}

    def _find_reply(self, notification: Notification, ts: str) -> Delivered | Unknown | None:
        for message in self._messages("conversations.replies", since=notification.at, ts=ts):
            if isinstance(message, Unknown):
                return message
            if _metadata(message).get("delivery_id") == notification.delivery_id:
                return Delivered(ref=ts)
        return None

    def _messages(self, method: str, *, since: datetime, **query: str) -> Iterator[Mapping[str, Any] | Unknown]:
        """The messages of the channel or thread, some pages of them; `Unknown` where Slack does not tell now."""
        query |= {"channel": self.config.channel, "limit": str(_PAGE), "include_all_metadata": "true"}
        query |= {"oldest": f"{(since - _CLOCKS_DIFFER).timestamp():.6f}"}
        for _ in range(_MAX_PAGES):
            answer = self._api.get(method, query)
            if answer.failure:
                if not isinstance(answer.failure, Rejected):  # which a later look-up would be, too
                    yield Unknown(f"whether it arrived cannot be looked up: {answer.failure.reason}")
                return
            yield from (message for message in answer.body.get("messages") or [] if isinstance(message, dict))
            cursor = _dict(answer.body.get("response_metadata")).get("next_cursor")
            if not cursor:
                return
            query |= {"cursor": str(cursor)}


def _known_by(notification: Notification, **more: str) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"alert_id": notification.alert_id, **more}}


def _metadata(message: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = _dict(message.get("metadata"))
    return _dict(metadata.get("event_payload")) if metadata.get("event_type") == EVENT_TYPE else {}


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
